"""The process that runs one version of one post-auth script for the Sallyport daemon.

Standard library only, Python 3.9 or later. `worker` is where it starts; the daemon's half of the conversation is
packages/server/src/runner/python/.
"""
