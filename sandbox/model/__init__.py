"""A language model in a box: Anthropic's ``/v1/messages`` answered by a deterministic simulator.

No neural network runs here. ``messages`` speaks the wire protocol, ``engine`` writes the reply
by reading the prompt it is given. Every response carries ``x-sandbox-simulation: 1``.
"""
