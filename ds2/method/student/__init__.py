"""The student of a rater: what a rater would have said of a sample, learned from what it said of all the
others.
"""
