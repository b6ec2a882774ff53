"""What puts Dicebox on a swarm: images, the stack, backups, shared storage. Run from a checkout."""
