"""Evidence: judges each criterion by its proofs. Nobody types "done"; a state follows from what was looked at.

A module for each kind of proof, whose `judge` is a pure function of the proof and of what there is to look at (`Exhibits`).
Whoever is asked after something that can't be seen answers that it is missing, so that nothing counts before something has looked.
"""
