"""The estimator of Sofroniew et al. 2026 (extraction), step by step in float64: one text at a time, nothing shared."""

import copy

import torch


def residual_stream(network, path, ids):
    """Output of every block, [layers, tokens, hidden]; hidden_states[l + 1], but the last one before any final norm."""
    last = []
    block = network.get_submodule(path)[-1]
    hook = block.register_forward_hook(lambda _, __, out: last.append(out[0] if isinstance(out, tuple) else out))
    with torch.no_grad():
        states = network(torch.tensor([ids]), output_hidden_states=True).hidden_states
    hook.remove()
    return torch.stack([*(state[0] for state in states[1:-1]), last[0][0]])


def content_rows(network, path, tokenizer, text, first_token):
    """Rows from the first_token-th content token on (counted from 1), or None if the text has fewer."""
    encoded = tokenizer(text, return_special_tokens_mask=True)
    content = [place for place, special in enumerate(encoded["special_tokens_mask"]) if not special]
    chosen = content[first_token - 1 :]
    return residual_stream(network, path, encoded["input_ids"])[:, chosen] if chosen else None


def emotion_vectors(network, path, tokenizer, stories, neutral, first_token):
    """Per layer: unit vectors and raw vectors (rows as the concepts first appear), grand mean, K and mean norm."""
    network = copy.deepcopy(network).double().eval()
    story_means = {}
    for text, concept in stories:
        rows = content_rows(network, path, tokenizer, text, first_token)
        story_means.setdefault(concept, [])
        if rows is not None:
            story_means[concept].append(rows.mean(dim=1))  # step 1
    mu = torch.stack([torch.stack(means).mean(dim=0) for means in story_means.values()], dim=1)  # step 2
    grand_mean = mu.mean(dim=1, keepdim=True)
    centred = mu - grand_mean  # step 3
    found = [content_rows(network, path, tokenizer, text, 5) for text in neutral]
    tokens = torch.cat([rows for rows in found if rows is not None], dim=1)
    layers = []
    for layer in range(mu.shape[0]):
        rows = tokens[layer] - tokens[layer].mean(dim=0)
        variance = torch.linalg.svdvals(rows).square()
        share = variance.cumsum(dim=0) / variance.sum()
        k = int((share < 0.5).sum()) + 1  # step 4
        basis = torch.linalg.svd(rows, full_matrices=False).Vh[:k]
        clean = centred[layer] - centred[layer] @ basis.T @ basis  # step 5
        layers.append(
            {
                "vectors": (clean / clean.norm(dim=1, keepdim=True)).numpy(),
                "raw": centred[layer].numpy(),
                "mean": grand_mean[layer, 0].numpy(),
                "k": k,
                "norm": float(tokens[layer].norm(dim=1).mean()),
            }
        )
    return layers
