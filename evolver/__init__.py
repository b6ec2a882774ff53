"""Breeds genomes: owns the runs, their individuals and their lineage.

Two processes share the service's tables. The web app (`python -m evolver.web`) starts, shows,
stops and resumes runs under `/api/evolution/v1` (`runs`, `runs/{id}` with `/individuals`,
`/individuals/{number}/lineage`, `/front`, `/champion`, `/events` as server-sent events, `/stop`,
`/resume`); the runner (`python -m evolver`) claims queued runs one at a time and drives them
through an engine. Any number of runners may share the tables: a lease says whose a run is.
Both hold no TensorFlow: genomes are checked by pure shape inference and trained by `trainer`
in the engine's workers.

Settings, from the environment (`evolver.app.Settings` says what each means): `DICEBOX_DATA`,
`DICEBOX_DATABASE_URL`, `DICEBOX_SENSORY_URL`, `DICEBOX_CLASSIFICATION_URL`, `DICEBOX_WORKERS`,
`DICEBOX_THREADS`, `DICEBOX_WORKER_MEMORY_BYTES`, `DICEBOX_WORKER_JOBS`, `DICEBOX_WATCHING_SLOTS`,
`DICEBOX_RESUME_RUNS`, `DICEBOX_ALIVE_FILE`, `DICEBOX_HOST`, `DICEBOX_PORT`,
`DICEBOX_SERVER_PROCESSES`.
"""
