"""The bundled samples, and the command that proves that each still runs."""
