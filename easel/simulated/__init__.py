"""The demo's Discord: SimCord's server inside the process, people, and a page on which to be each of them.

SimCord is pinned: the few private names of its that Easel touches are all in this folder.
"""
