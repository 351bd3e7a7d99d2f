"""Croissant 1.0 with the fields for responsible AI (RAI 1.0): what the data set is, for machines.

https://docs.mlcommons.org/croissant/docs/croissant-spec.html and croissant-rai-spec.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ds2.export.hf import DATA, columns
from ds2.export.subset import Subset

_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_RECORDS = "conversations"


def croissant(subset: Subset, told: Mapping[str, Any], sha256: str, size: int) -> dict[str, Any]:
    """The JSON-LD of a published subset.

    Args:
        told: name, description, licence, citation, date and version, and `rai`: RAI field -> text or texts.
        sha256: of the data file, of `size` bytes.
    """
    data = {
        "@type": "cr:FileObject", "@id": DATA, "name": DATA, "contentUrl": DATA, "sha256": sha256,
        "contentSize": f"{size} B", "encodingFormat": "application/x-parquet",
    }  # fmt: skip
    fields = [_field(name, str(kind)) for name, kind in columns(subset).items()]
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": ["http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0"],
        "name": told["name"],
        "description": told["description"],
        "license": told["licence"],
        "url": told["url"],
        "citeAs": told["citation"],
        "datePublished": told["date"],
        "version": "1.0.0",
        **{f"rai:{name}": text for name, text in told["rai"].items()},
        "distribution": [data],
        "recordSet": [{"@type": "cr:RecordSet", "@id": _RECORDS, "name": _RECORDS, "field": fields}],
    }


def _field(name: str, kind: str) -> dict[str, Any]:
    identity = f"{_RECORDS}/{name}"
    about = {"@type": "cr:Field", "@id": identity, "name": name}
    if name == "messages":
        parts = [_turn_field(identity, part) for part in ("role", "content")]
        return about | {"repeated": True, "subField": parts}
    types = {"double": "sc:Float", "int64": "sc:Integer"}
    return about | {"dataType": types.get(kind, "sc:Text"), "source": _source(name)}


def _turn_field(messages: str, part: str) -> dict[str, Any]:
    source = _source("messages") | {"transform": {"jsonPath": part}}
    return {
        "@type": "cr:Field", "@id": f"{messages}/{part}", "name": part, "dataType": "sc:Text",
        "source": source,
    }  # fmt: skip


def _source(column: str) -> dict[str, Any]:
    return {"fileObject": {"@id": DATA}, "extract": {"column": column}}
