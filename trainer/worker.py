"""`python -m trainer.worker`: this machine trains for evolvers elsewhere, as it is told to."""

if __name__ == "__main__":
    # Each of its worker processes imports this module again and needs nothing of it.
    from trainer.worker_process import main

    main()
