"""Cal.com's side of the wire: an appointment calendar, in memory, behind its HTTP API version 2."""
