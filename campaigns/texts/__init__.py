"""Text campaigns: the same people, hours and pace as voice campaigns, with texts for calls.

Here rather than in ``sms``, as it needs the calling windows of this app; the rows are ``sms``'s.
"""
