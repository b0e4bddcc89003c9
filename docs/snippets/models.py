import thymos
from thymos.errors import UnknownArchitectureError
from thymos.models import Model, byte_tokenizer, rows, self_check, tiny_model, tiny_network

# --8<-- [start:tiny]
model = tiny_model("qwen3", layers=6)  # random weights, byte tokenizer, no download
print(model)
print(model.layer_at(2 / 3), model.resolve_layers("all"), model.resolve_layers("1,3"))

tokens = model.tokens("A quiet morning.")
residual = rows(model, tokens, layers=[3])  # [layers, tokens, hidden], float32
assert residual.shape == (1, len(tokens), model.hidden_size)
print(self_check(model))  # every hook site compared with the model's own hidden states
# --8<-- [end:tiny]

# --8<-- [start:wrap]
network = tiny_network("llama")
model = Model.wrap(network, byte_tokenizer(), name="my network")  # already in memory
# --8<-- [end:wrap]

# --8<-- [start:unknown]
network.config.model_type = "my_architecture"
try:
    Model.wrap(network, byte_tokenizer(), name="my network")
except UnknownArchitectureError as err:
    print(err)  # names the block lists it saw

model = Model.wrap(network, byte_tokenizer(), name="my network", blocks="model.layers")
self_check(model)  # the proof that the path was right
# --8<-- [end:unknown]

# --8<-- [start:capture]
model = tiny_model("gpt2")
with thymos.capture(model, layers="all") as got:
    model.network(input_ids=model.network.dummy_inputs["input_ids"])
print({layer: tuple(hidden.shape) for layer, hidden in got.items()})  # [batch, tokens, hidden]
# --8<-- [end:capture]
