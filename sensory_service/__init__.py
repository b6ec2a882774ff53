"""Where labeled images come in and training data goes out.

Under `/api/sensory/v1`:

    POST   /datasets/{dataset}/images?category=&split=   one image (raw) or many (form `files`)
    GET    /datasets, /datasets/{dataset}                counts
    GET    /datasets/{dataset}/images?category=&labeled=&cursor=&limit=
    PUT    /datasets/{dataset}/images/{sha256}/label     another category, or none
    GET    /images/{sha256}                              the bytes as they were sent
    POST   /datasets/{dataset}/snapshots                 freeze what is labeled
    GET    /snapshots/{id}, /snapshots/{id}/images?split=&cursor=&limit=
    POST   /orders                                       a snapshot in batches of one shape
    GET    /orders/{id}, /orders/{id}/shards/next?after=&wait_s=
    DELETE /orders/{id}
    GET    /shards/{sha256}

Queue `sensory.shards`: one task a shard, `{"shard": <id>}`, for any number of
`python -m sensory_service.batch_processor`. The processors belong to this service and share
its tables: they read a shard's rows there and record its hash there, so a task is only a
reminder. The queue is on RabbitMQ with `DICEBOX_BROKER_URL`, else in the tables.

Settings: `sensory_service.app.Settings`, from `DICEBOX_<NAME>`. The data folder holds
`blobs/images/ab/cd/<sha256>`, `blobs/shards/ab/<sha256>` without `DICEBOX_BLOBS_URL`, and
`sensory.sqlite3`, `queue.sqlite3`, `keys.sqlite3` without `DICEBOX_DATABASE_URL`.
"""
