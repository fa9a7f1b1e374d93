"""Python values as JSON from which JavaScript can make them again: floats, long integers and the order of keys are spelled out."""


def tagged(value):
    if isinstance(value, float):
        return {"$float": repr(value)}
    if isinstance(value, int) and abs(value) > 2**53 - 1:
        return {"$int": str(value)}
    if isinstance(value, list):
        return [tagged(item) for item in value]
    if isinstance(value, dict) and any(key.isdigit() for key in value):
        # JavaScript's objects put such keys first.
        return {"$dict": [[key, tagged(item)] for key, item in value.items()]}
    return {key: tagged(item) for key, item in value.items()} if isinstance(value, dict) else value
