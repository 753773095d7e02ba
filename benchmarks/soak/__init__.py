"""Many calls, or long ones, against one media process: does anything grow that should not?"""
