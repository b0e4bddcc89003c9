import thymos
from thymos.models import tiny_model
from thymos.texts import Text

try:
    thymos.extract(tiny_model(), [Text("Too short.", emotion="calm")])
except thymos.ThymosError as err:  # the base of every error raised on purpose
    print(type(err).__name__, err.exit_code, err)
