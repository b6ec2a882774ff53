"""Serves the bred networks: registers, promotes, and answers with the champion.

Routes, under `/api/classification/v1` (`docs` and `openapi.json` describe them):

    POST /classify?dataset=&network=&top=&record=  an image, or a form: categories, probabilities
    PUT  /network-files/{sha256}.{kind}     send a file of a network (npz, keras, onnx)
    GET  /network-files/{sha256}.{kind}     the file; HEAD says whether it is here
    POST /networks                          register a card; 409 `missing-files` if some are
    GET  /networks?dataset=                 the gallery, newest first
    GET  /networks/{id}                     one network, here as elsewhere by its name too
    GET  /networks/{id}/examination         what it takes for what, and how long it takes
    PUT  /networks/{id}/name                give it a name, or move one; DELETE takes it away
    GET  /networks/{id}/{file}              download `keras`, `onnx` or `weights`
    GET  /champions                         who answers, dataset by dataset
    GET  /champions/{dataset}               who answers for one dataset
    PUT  /champions/{dataset}               promote: that network answers from now on
    POST /champions/{dataset}/rollback      go back to who answered before
    GET  /champions/{dataset}/history       promotions and rollbacks
    POST /champions/{dataset}/trials        put a network on trial: check, canary or shadow
    GET  /champions/{dataset}/trials        the trials, newest first; DELETE ends the one that runs
    GET  /classifications?dataset=&order=   what was recorded, page by page; uncertain ones first
    GET  /classifications/{id}              one of them; /image and /thumbnail beside
    POST /classifications/{id}/correction   what it really shows; becomes a label, once
    DELETE /classifications/{id}            for good; /classifications?image= all of an image
    POST /jobs?network=&dataset=&open=      many images, one or more networks: ids at once
    GET  /jobs, /jobs/{id}                  the jobs of this key; DELETE forgets one
    DELETE /jobs?image=                     an image goes from all jobs, for good
    POST /jobs/{id}/images?open=            more images for an open job; /close, /cancel beside
    GET  /jobs/{id}/results?category=       what was said, page by page; results.csv: all of it
    GET  /healthz, /readyz

`python -m classification_service.job_worker` takes parts of jobs from the queue
`classification.jobs` and does the chores of the service: it sends corrections, judges trials,
examines networks, and asks champions about the images of their datasets (`DICEBOX_OPINIONS`).

Settings, from the environment (`app.Settings`): `DICEBOX_DATA`, `DICEBOX_DATABASE_URL`,
`DICEBOX_BROKER_URL`, `DICEBOX_MAX_JOB_IMAGES`, `DICEBOX_JOB_KEPT_S`, `DICEBOX_JOB_OPEN_S`,
`DICEBOX_JOB_LEASE_S`, `DICEBOX_REFRESH_S`, `DICEBOX_MAX_BODY_BYTES`,
`DICEBOX_MAX_NETWORK_FILE_BYTES`, `DICEBOX_SPARE_NETWORKS`, `DICEBOX_SPARE_BYTES`,
`DICEBOX_ROLLBACK_LATENCY_S`, `DICEBOX_RECORD_SHARE`, `DICEBOX_HISTORY_S`, `DICEBOX_HISTORY_MOST`,
`DICEBOX_MOST_WAITING`, `DICEBOX_MOST_WAIT_S`, `DICEBOX_CACHED_ANSWERS`, `DICEBOX_LANES`,
`DICEBOX_LOG_CLASSIFICATIONS`,
`DICEBOX_SERVER_PROCESSES`, `DICEBOX_DRAIN_S`, `DICEBOX_DEVICE`, `DICEBOX_GPU_MEMORY_BYTES`,
`DICEBOX_SENSORY_URL`, `DICEBOX_OPINIONS`, `DICEBOX_KEY`, `DICEBOX_HOST`, `DICEBOX_PORT`.
"""
