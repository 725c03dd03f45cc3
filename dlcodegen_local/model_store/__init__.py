"""Imported models: checked, copied, hashed, and listed whole or not at all.

`DATA/models/NAME/` holds `manifest.json` and the files it names, as a bundled model's folder does. A copy
grows in `DATA/models/.import-NAME/`, where nothing is listed, and gets its name when all of it is checked.
"""
