"""The local realtime engine: a small server that speaks the Realtime protocol. Plain Python; knows no Django."""
