"""A party's process: its keys, its folder, its inbox over mutual TLS, and the programs it runs.

`python -m comity.node --party NAME --folder DIR` is steered by JSON lines on standard input (see
`comity.node.control`) and ends when that input ends, so that no process outlives who started it.
"""
