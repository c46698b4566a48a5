"""What every session of ours sets on the cluster, and why. Names and values are Spark's."""

from __future__ import annotations

#: keeps storage credentials out of the server's log and event log. Set before anything else, in a request of its own:
#: the request that sets a secret is itself logged.
REDACTION: dict[str, str] = {
    "spark.sql.redaction.options.regex": (
        r"(?i)url|secret|password|token|access[.]?key|account[.]key|private[.]key|credential"
    ),
    "spark.sql.redaction.string.regex": r'fs\.[A-Za-z0-9._-]+"\s+value: "[^"]*',
}

#: a value that only this session knows. A server that was restarted gives a session of the same id that has lost all
#: its configuration without a word; it cannot show this value.
MARKER = "spark.autoloader.session"

ZONE = "spark.sql.session.timeZone"

BASE: dict[str, str] = {
    # Spark 4 raises where a cast fails and Spark 3.5 gives null. What is loaded is checked against the text it came
    # from, so both shall give null; ``try_cast`` is the same either way.
    "spark.sql.ansi.enabled": "false",
    "spark.sql.storeAssignmentPolicy": "ANSI",
    # A cluster may have been told to pass over damaged or vanished files in silence.
    "spark.sql.files.ignoreCorruptFiles": "false",
    "spark.sql.files.ignoreMissingFiles": "false",
    # Listing and packing of many small files: 1,000 files in 0.8 s instead of 6.1 s.
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "4",
    "spark.sql.files.openCostInBytes": "65536",
    # With pruning, a row with too few or too many fields is not noticed where the query needs only some of them.
    "spark.sql.csv.parser.columnPruning.enabled": "false",
    # A JSON object that names a key twice is an error and not the first or last of its values.
    "spark.sql.mapKeyDedupPolicy": "EXCEPTION",
    # What takes nested values out of texts nests deeper than Spark 3.5 looks by itself.
    "spark.sql.analyzer.maxIterations": "1000",
    # Java runs a method of more bytes uncompiled, for ever; Spark then cuts a step into smaller ones. Rows of CSV are
    # read in two thirds of the time so.
    "spark.sql.codegen.hugeMethodLimit": "8000",
    # Spark 4 would read no other encodings than Latin-1 and the Unicode ones.
    "spark.sql.legacy.javaCharsets": "true",
    # Times are read alike by 3.5 and 4.x.
    "spark.sql.legacy.timeParserPolicy": "CORRECTED",
    "spark.sql.timestampType": "TIMESTAMP_LTZ",
}
