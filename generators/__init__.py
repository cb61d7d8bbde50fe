"""The generators: they build every deliverable from the backlog, the code and the run records, and judge the evidence.

They read what the pipeline declared and recorded; they never run it.
"""
