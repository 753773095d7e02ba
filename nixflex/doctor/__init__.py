"""Can this installation take its first real call? Everything that must be there, asked in turn.

``nixflex/checks.py`` reads the settings; here they are tried. Nothing is changed, nobody called.
"""
