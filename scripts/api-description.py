"""Fetches the description of the API at API_URL, sees that it is valid OpenAPI, and writes it to the file that is named."""

import json
import os
import sys
import urllib.request

from openapi_spec_validator import validate

headers = {"Authorization": "Bearer " + os.environ["API_KEY"]}
request = urllib.request.Request(os.environ["API_URL"] + "/openapi.json", headers=headers)
document = json.load(urllib.request.urlopen(request, timeout=60))
validate(document)
with open(sys.argv[1], "w") as file:
    json.dump(document, file, indent=1)
print(f"/openapi.json is valid OpenAPI {document['openapi']}, with {len(document['paths'])} paths")
