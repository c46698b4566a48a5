"use strict";

const place = document.getElementById("redoc");

Redoc.init(place.dataset.openapiUrl, { hideDownloadButton: false, expandResponses: "200,201,202" }, place);
