"""The Realtime protocol in plain Python: sessions, SDP rules, errors, the upstream's client. Knows no Django."""
