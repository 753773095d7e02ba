"""The live engine under load, beside Pipecat and a bare socket: one core, one run, one table."""
