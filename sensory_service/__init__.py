"""Where labeled images come in and training data goes out.

Under `/api/sensory/v1`:

    POST   /datasets/{dataset}/images?category=&split=   one image (raw) or many (form `files`)
    GET    /datasets, /datasets/{dataset}                counts
    GET    /datasets/{dataset}/images?category=&split=&said=&disagrees=&order=&cursor=
    PUT    /datasets/{dataset}/images/{sha256}/label     another category, or none
    POST   /datasets/{dataset}/labels                    many decisions, with who was first
    POST   /datasets/{dataset}/queue                     what to label next; /skip, /release beside
    PUT    /datasets/{dataset}/opinions                  what a network says; GET /opinions/wanted
    GET    /datasets/{dataset}/balance, /datasets/{dataset}/groups?mixed=&cursor=
    GET    /datasets/{dataset}/images/{sha256}/history   who said what and when
    DELETE /datasets/{dataset}/images/{sha256}           out of the dataset; the history stays
    POST   /datasets/{dataset}/categories, …/{category}/merge; PUT …/{category}/name
    POST   /datasets/{dataset}/imports                   a zip or tar of folders, streamed
    GET    /images/{sha256}, /images/{sha256}/thumbnail  the bytes as they were sent, or small
    DELETE /images/{sha256}                              erased for good (`dicebox purge`)
    POST   /datasets/{dataset}/snapshots                 freeze what is labeled
    GET    /datasets/{dataset}/snapshots                 what is frozen, newest first
    GET    /snapshots/{id or its start}, /snapshots/{id}/images?split=&cursor=&limit=
    GET    /snapshots/{id}/batch, /snapshots/{id}/export, /snapshots/{id}/state
    GET    /snapshots/{before}/diff/{after}
    GET    /check/{prefix}                               one part of `dicebox fsck`
    POST   /orders                                       a snapshot in batches of one shape
    GET    /orders/{id}, /orders/{id}/shards/next?after=&wait_s=
    DELETE /orders/{id}
    GET    /shards/{sha256}

Queue `sensory.shards`: one task a shard, `{"shard": <id>}`, for any number of
`python -m sensory_service.batch_processor`. The processors belong to this service and share
its tables: they read a shard's rows there and record its hash there, so a task is only a
reminder. While there is none they pack snapshots and look for images that look alike. The
queue is on RabbitMQ with `DICEBOX_BROKER_URL`, else in the tables.

Settings: `sensory_service.app.Settings`, from `DICEBOX_<NAME>`. The data folder holds
`blobs/images/ab/cd/<sha256>`, `blobs/shards/ab/<sha256>` without `DICEBOX_BLOBS_URL`, and
`sensory.sqlite3`, `queue.sqlite3`, `keys.sqlite3` without `DICEBOX_DATABASE_URL`.
"""
