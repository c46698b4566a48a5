"""Whatever is killed, and whenever, no row is lost or doubled: ``make chaos KILLS=n SEED=s``.

``plan`` says what a round does, out of the seed alone; ``feeds`` are the files and, beside the product, what the tables
have to hold; ``site`` the real processes; ``points`` and ``worker`` let a process die at a named point; ``faults`` do
what has to be done from outside; ``checks`` compare; ``driver`` goes through the rounds.
"""
