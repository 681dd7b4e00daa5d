"""The phases of a clustering: what each asks, and what it makes of the answer.

known  ->  ask  ->  question;  noisy sum  ->  absorb  ->  known better

In the order of a run: calibration (the mean and the scale), basis (in which
directions people differ), summary (weighted cells, and the first centroids),
lloyd (the centroids in all dimensions), description (what each cluster goes
for, and how well the map fits). ``strategies.plan`` puts them in a row and says
what each may spend.
"""
