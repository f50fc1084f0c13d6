"""Training on secret shares: SPU's ABY3 and CHEETAH, in a process of their own at each compute party."""
