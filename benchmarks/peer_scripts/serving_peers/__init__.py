"""Servers of other people around the same network and the same decoder.

Each is `SERVER.py PORT`, reads what it serves and its configuration from the environment, and
serves until SIGTERM. Whatever a server must be told by files it writes into its own folder.
"""
