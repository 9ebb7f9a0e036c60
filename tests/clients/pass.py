"""Another site: checks a pass by published keys alone. Arguments: the file of keys, issuer, pass. Prints the claims, or `refused`."""

import json
import sys

import jwt

keys, issuer, token = sys.argv[1:]
with open(keys) as file:
    known = jwt.PyJWKSet.from_dict(json.load(file))
header = jwt.get_unverified_header(token)
found = [key for key in known.keys if key.key_id == header["kid"]]
try:
    assert header["typ"] == "pass+jwt" and len(found) == 1
    claims = jwt.decode(
        token,
        found[0].key,
        algorithms=["EdDSA"],
        audience="onsale:pass",
        issuer=issuer,
        options={"require": ["iss", "aud", "sub", "event", "iat", "exp", "jti"]},
    )
except (AssertionError, jwt.InvalidTokenError) as error:
    print("refused", type(error).__name__)
else:
    print(json.dumps(claims))
