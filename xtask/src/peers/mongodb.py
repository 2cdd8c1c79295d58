# Makes the replica set and the first user of a fresh server; of another one, waits until it can be written to.
import sys, time
import pymongo

client = pymongo.MongoClient(f"mongodb://127.0.0.1:{sys.argv[1]}/?directConnection=true")
members = [{"_id": 0, "host": f"localhost:{sys.argv[1]}"}]
try:
    client.admin.command("replSetInitiate", {"_id": "rs0", "members": members})
except pymongo.errors.OperationFailure as error:
    # 13: there is a user already; 23: there is a replica set already.
    if error.code not in (13, 23):
        raise
while not client.admin.command("hello")["isWritablePrimary"]:
    time.sleep(0.05)
try:
    mechanisms = ["SCRAM-SHA-256", "SCRAM-SHA-1"]
    client.admin.command("createUser", "root", pwd="s3cret", roles=["root"], mechanisms=mechanisms)
except pymongo.errors.OperationFailure as error:
    # 13: only the first user may be made without one; 51003: it is there.
    if error.code not in (13, 51003):
        raise
