import thymos

model = thymos.load("Qwen/Qwen3-8B")  # or a local path
vectors = thymos.extract(model)  # writes its own stories, captures, centres, denoises, validates
print(vectors.card.quality)  # held-out recall, chance, intervals

reading = thymos.read(model, vectors, "I have one hour left and every test still fails.")
print(reading)  # in a notebook: a token heat map

with thymos.steer(model, vectors["calm"] * 0.05):
    print(model.chat("How is the release going?").text)

vectors.save("vectors/qwen3-8b")
