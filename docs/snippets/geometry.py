import thymos

vectors = thymos.EmotionVectors.load("vectors/minilm")

found = thymos.map_geometry(vectors, thymos.EMOTIONS, ks=(2, 3), permutations=200)
print(found.pca.explained[:2])  # of n concepts at most n - 1 axes have any variance
print([found.concepts[i] for i in found.order])  # leaf order of average linkage on 1 - cosine
for clustering in found.clusterings:
    print(clustering.k, clustering.members(found.concepts))
assert found.axes is None  # fewer than 8 concepts with human norms: no axis is fitted

same = thymos.compare_vector_sets(vectors, vectors)  # two sets: the concepts they share
print(same)
