"""The Realtime session as a pure state machine: inputs and a clock in, events and effects out."""
