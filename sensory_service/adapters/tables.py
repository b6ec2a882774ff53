"""The tables of the sensory service, for SQLite and PostgreSQL.

`dataset.images` and `category.images` are counts kept in the transaction of every change, so
that no question about counts ever counts. A membership repeats its latest label for the same
reason; the label events are the history it comes from.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
    text,
)

METADATA = MetaData()
# SQLite counts only an INTEGER key up by itself.
_BIG = BigInteger().with_variant(Integer, "sqlite")

DATASET = Table(
    "dataset",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", String(63), nullable=False, unique=True),
    Column("images", Integer, nullable=False),
    Column("created", Float, nullable=False),
)

CATEGORY = Table(
    "category",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("dataset", Integer, ForeignKey("dataset.id"), nullable=False),
    # Counts up in the order of making: a new category never renumbers another.
    Column("number", Integer, nullable=False),
    Column("name", String(120), nullable=False),
    Column("images", Integer, nullable=False),
    Column("created", Float, nullable=False),
    # A merged category is only another name of the one that took its images over.
    Column("merged_into", String(64)),
    UniqueConstraint("dataset", "name", name="category_name"),
    UniqueConstraint("dataset", "number", name="category_number"),
)

IMAGE = Table(
    "image",
    METADATA,
    Column("sha256", String(64), primary_key=True),
    Column("format", String(16), nullable=False),
    Column("height", Integer, nullable=False),
    Column("width", Integer, nullable=False),
    Column("channels", Integer, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("created", Float, nullable=False),
)

MEMBERSHIP = Table(
    "membership",
    METADATA,
    Column("id", _BIG, primary_key=True),
    Column("dataset", Integer, ForeignKey("dataset.id"), nullable=False),
    Column("image", String(64), ForeignKey("image.sha256"), nullable=False),
    Column("category", String(64), ForeignKey("category.id")),
    Column("split", String(16)),
    # An import said the split; otherwise the first freeze assigned it.
    Column("split_said", Boolean, nullable=False),
    Column("added", Float, nullable=False),
    # Who did its latest event, and when: a label, or the upload where there was none since.
    Column("labeled_by", String(120)),
    Column("changed", Float),
    # How its label came (`person`, `upload`, ...); null where it has none or nobody knows.
    Column("source", String(16)),
    # As in `image`: freezing a million rows has no time to look each of them up.
    Column("height", Integer),
    Column("width", Integer),
    Column("channels", Integer),
    UniqueConstraint("dataset", "image", name="membership_image"),
    Index("membership_by_category", "dataset", "category", "id"),
    Index("membership_by_age", "dataset", "id"),
    Index("membership_by_change", "dataset", "changed", "id"),
    # The balance is counted in this one alone.
    Index("membership_by_split_category", "dataset", "split", "category", "id"),
    Index(
        "membership_by_split",
        "dataset",
        "split",
        "id",
        sqlite_where=text("split IS NOT NULL"),
        postgresql_where=text("split IS NOT NULL"),
    ),
    Index(
        "membership_by_source",
        "dataset",
        "source",
        "id",
        sqlite_where=text("source IS NOT NULL"),
        postgresql_where=text("source IS NOT NULL"),
    ),
    Index("membership_by_labeler", "dataset", "labeled_by", "id"),
    Index("membership_by_category_change", "dataset", "category", "changed", "id"),
    Index("membership_by_category_labeler", "dataset", "category", "labeled_by", "id"),
    Index("membership_by_labeler_change", "dataset", "labeled_by", "changed", "id"),
    Index(
        "membership_labeled",
        "dataset",
        "id",
        sqlite_where=text("category IS NOT NULL"),
        postgresql_where=text("category IS NOT NULL"),
    ),
    # Of a million images, or of those that one person sent, few may be labeled.
    Index(
        "membership_labeled_by_change",
        "dataset",
        "changed",
        "id",
        sqlite_where=text("category IS NOT NULL"),
        postgresql_where=text("category IS NOT NULL"),
    ),
    Index(
        "membership_labeled_by_labeler",
        "dataset",
        "labeled_by",
        "id",
        sqlite_where=text("category IS NOT NULL"),
        postgresql_where=text("category IS NOT NULL"),
    ),
    Index(
        "membership_labeled_by_labeler_change",
        "dataset",
        "labeled_by",
        "changed",
        "id",
        sqlite_where=text("category IS NOT NULL"),
        postgresql_where=text("category IS NOT NULL"),
    ),
)

LABEL_EVENT = Table(
    "label_event",
    METADATA,
    Column("id", _BIG, primary_key=True),
    Column("dataset", Integer, ForeignKey("dataset.id"), nullable=False),
    Column("image", String(64), ForeignKey("image.sha256"), nullable=False),
    Column("category", String(64), ForeignKey("category.id")),
    Column("who", String(120)),
    Column("at", Float, nullable=False),
    # `added` (without a label), `removed`, `restored` or `merged`; null is a label.
    Column("kind", String(16)),
    # How it came, where that is known.
    Column("source", String(16)),
    Index("label_event_by_image", "dataset", "image", "id"),
)

# The latest that a network said about an image of a dataset. No foreign key: the code of 0006
# takes a membership out without it.
OPINION = Table(
    "opinion",
    METADATA,
    Column("membership", _BIG, primary_key=True, autoincrement=False),
    Column("dataset", Integer, nullable=False),
    Column("network", String(64), nullable=False),
    # What it takes the image for, and how probable it finds that.
    Column("category", String(64), nullable=False),
    Column("confidence", Float, nullable=False),
    Column("margin", Float, nullable=False),
    # [[category, probability], ...], that one first.
    Column("top", JSON, nullable=False),
    # 0: the image has no label, 1: it has this one, 2: it has another. Kept with every label.
    Column("state", SmallInteger, nullable=False),
    Column("at", Float, nullable=False),
    Index("opinion_by_state", "dataset", "state", "membership"),
    Index("opinion_by_margin", "dataset", "state", "margin", "membership"),
    Index("opinion_by_confidence", "dataset", "state", "confidence", "membership"),
    Index("opinion_by_category", "dataset", "category", "membership"),
    Index(
        "opinion_by_category_confidence",
        "dataset",
        "category",
        "state",
        "confidence",
        "membership",
    ),
    Index("opinion_by_network", "dataset", "network"),
)

# Unlabeled images that somebody is about to label, or does not want to see for some time.
LABEL_CLAIM = Table(
    "label_claim",
    METADATA,
    Column("membership", _BIG, nullable=False),
    Column("client", String(64), nullable=False),
    Column("dataset", Integer, nullable=False),
    Column("until", Float, nullable=False),
    Column("skipped", Boolean, nullable=False),
    PrimaryKeyConstraint("membership", "client"),
    Index("label_claim_by_client", "dataset", "client"),
    Index("label_claim_by_end", "dataset", "until"),
)

# What an image looks like, and the first one of those that look like it. It goes when the image
# is erased, and not when it leaves a dataset.
APPEARANCE = Table(
    "appearance",
    METADATA,
    Column("image", String(64), primary_key=True),
    # 16x16 greys.
    Column("grey", LargeBinary, nullable=False),
    # 64 bits with a sign, and the same in four parts.
    Column("hash", BigInteger, nullable=False),
    Column("b0", Integer, nullable=False),
    Column("b1", Integer, nullable=False),
    Column("b2", Integer, nullable=False),
    Column("b3", Integer, nullable=False),
    Column("cluster", String(64), nullable=False),
    Index("appearance_by_b0", "b0"),
    Index("appearance_by_b1", "b1"),
    Index("appearance_by_b2", "b2"),
    Index("appearance_by_b3", "b3"),
    Index("appearance_by_cluster", "cluster"),
    # Groups are where somebody joined; most images look like no other.
    Index(
        "appearance_following",
        "cluster",
        sqlite_where=text("cluster != image"),
        postgresql_where=text("cluster != image"),
    ),
)

# What was taken out of a dataset: its label and split come back with its bytes.
REMOVED = Table(
    "removed",
    METADATA,
    Column("dataset", Integer, ForeignKey("dataset.id"), nullable=False),
    Column("image", String(64), ForeignKey("image.sha256"), nullable=False),
    Column("category", String(64), ForeignKey("category.id")),
    Column("split", String(16)),
    Column("split_said", Boolean, nullable=False),
    Column("at", Float, nullable=False),
    PrimaryKeyConstraint("dataset", "image"),
)

# Where in which pack the bytes of an image are, for readers who want many.
PACKED = Table(
    "packed",
    METADATA,
    Column("image", String(64), primary_key=True),
    Column("pack", String(64), nullable=False),
    Column("start", BigInteger, nullable=False),
    Column("size", Integer, nullable=False),
    Index("packed_by_pack", "pack"),
)

# Written before an erasure begins, so that one that was interrupted is finished.
PURGED = Table(
    "purged",
    METADATA,
    Column("image", String(64), primary_key=True),
    Column("who", String(120)),
    Column("at", Float, nullable=False),
    Column("done", Float),
)

SNAPSHOT = Table(
    "snapshot",
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("dataset", Integer, ForeignKey("dataset.id"), nullable=False),
    Column("body", JSON, nullable=False),
    Column("created", Float, nullable=False),
    # When its images were all in packs, and how many of them were erased since.
    Column("packed", Float),
    Column("purged", Integer),
)

SNAPSHOT_IMAGE = Table(
    "snapshot_image",
    METADATA,
    Column("snapshot", Integer, ForeignKey("snapshot.number"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("image", String(64), nullable=False),
    Column("category", Integer, nullable=False),
    Column("split", String(16), nullable=False),
    PrimaryKeyConstraint("snapshot", "position"),
    sqlite_with_rowid=False,
)

SHARD = Table(
    "shard",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("snapshot", String(64), ForeignKey("snapshot.id"), nullable=False),
    Column("split", String(16), nullable=False),
    Column("height", Integer, nullable=False),
    Column("width", Integer, nullable=False),
    Column("channels", Integer, nullable=False),
    Column("resize", String(16), nullable=False),
    # Other pixels are other shards: a new decoder never answers with the old one's.
    Column("decoder", String(32), nullable=False),
    Column("first", Integer, nullable=False),
    Column("examples", Integer, nullable=False),
    Column("sha256", String(64)),
    # When its latest task went out, 0 if that failed; below that nobody asks for it any more.
    Column("issued", Float, nullable=False),
    UniqueConstraint(
        "snapshot",
        "split",
        "height",
        "width",
        "channels",
        "resize",
        "decoder",
        "first",
        "examples",
        name="shard_key",
    ),
    # Those still to be made, which are few beside the others.
    Index(
        "shard_unmade",
        "id",
        sqlite_where=text("sha256 IS NULL AND issued >= 0"),
        postgresql_where=text("sha256 IS NULL AND issued >= 0"),
    ),
)

# Blobs of shards to be deleted: written down first, so that a crash leaves none for ever.
DISCARDED = Table(
    "discarded",
    METADATA,
    Column("sha256", String(64), primary_key=True),
)

BATCH_ORDER = Table(
    "batch_order",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("body", JSON, nullable=False),
    Column("shards", Integer, nullable=False),
    Column("examples", Integer, nullable=False),
    # How it ended (`cancelled`, `failed`, `expired`); progress is in the shards.
    Column("ended", String(16)),
    Column("reason", String),
    Column("created", Float, nullable=False),
    # Null in an order of code that knew of no end.
    Column("expires", Float),
)

ORDER_SHARD = Table(
    "order_shard",
    METADATA,
    Column("batch_order", String(64), nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("shard", Integer, ForeignKey("shard.id"), nullable=False),
    PrimaryKeyConstraint("batch_order", "sequence"),
    ForeignKeyConstraint(["batch_order"], ["batch_order.id"]),
    Index("order_shard_by_shard", "shard"),
)
