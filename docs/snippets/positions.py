from thymos import Select
from thymos.models import chat_tokens, reply_slot, tiny_model

model = tiny_model()
tokens = chat_tokens(
    model,
    [
        {"role": "user", "content": "The lift is stuck again."},
        {"role": "assistant", "content": "I will call the technician."},
        {"role": "user", "content": "Please hurry."},
    ],
)

print([(span.role, span.start, span.stop) for span in tokens.roles])  # content only, absolute positions
print(int(tokens.special.sum()), "template tokens of", len(tokens))

user = Select(roles=("user",)).mask(tokens)  # one boolean per fed token
late = Select(start_token=10).mask(tokens)  # from the tenth content token on
place = tokens.text.index("technician")
word = Select(chars=((place, place + len("technician")),)).mask(tokens)
assert user.sum() > 0 and late.sum() > 0 and word.sum() > 0

assert reply_slot(tokens) == len(tokens) - 1  # its row decides the first token of the reply
assert Select(where="reply").mask(tokens)[reply_slot(tokens)]
