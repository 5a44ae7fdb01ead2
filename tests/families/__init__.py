"""Families of tasks whose truth is known: what promotion is measured by.

Each module is one kind of task as somebody would have written it: tools, an agent, a scripted model that solves it
(with as much noise as wanted), and `case(seed, entities)`, a random case with its input, its world, the writes and the
output that are right. Training and held-out cases share no id, name or amount. The modules were written before the code
that promotes, and what they ask of it does not follow what it can do.
"""
