"""The new decoder against its formula written out, and against itself without caches and padding."""

import math
from typing import Any

import numpy as np
import pytest

from headstart.core.frameworks import prepare_torch
from headstart.model.decoders import Source, Writing

torch = prepare_torch()

from transformers.modeling_outputs import BaseModelOutput  # noqa: E402

from headstart.model.pointer import Pointer, PointerDecoder, Shape  # noqa: E402

WIDTH, TOKENS, OWN = 16, 50, 12
START, END, PAD = 1, 2, 0


def decoder(points: bool = True, seed: int = 0) -> Pointer:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        shape = Shape(
            width=WIDTH, layers=2, heads=2, inner=24, longest=32, tokens=TOKENS, read=TOKENS, embedded=WIDTH,
            own=OWN, pad=PAD, start=START, end=END, points=points,
        )  # fmt: skip
        module = PointerDecoder(shape).eval()
        for parameter in module.parameters():  # far from the small ones it starts with
            parameter.data = parameter + 0.3 * torch.randn_like(parameter)
        own_U = torch.tensor([PAD, END, *range(10, 10 + OWN - 2)])
        module.own(own_U)
        return Pointer(module, torch.randn(TOKENS, WIDTH))


def source(lengths: tuple[int, ...] = (7, 4), seed: int = 1) -> Source:
    random = torch.Generator().manual_seed(seed)
    longest = max(lengths)
    mask = (torch.arange(longest) < torch.tensor(lengths)[:, None]).long()
    states = torch.randn(len(lengths), longest, WIDTH, generator=random) * mask[:, :, None]
    return Source(states, mask, torch.randint(3, TOKENS, (len(lengths), longest), generator=random) * mask)


@pytest.mark.parametrize("points", [True, False])
def test_each_tokens_probability_is_the_formulas(points: bool) -> None:
    one, given = decoder(points), source()
    module: Any = one.module
    target = torch.tensor([[11, int(given.ids_NS[0, 2]), 12, END], [13, 45, END, PAD]])
    with torch.no_grad():
        found, mean = one.log_probabilities(given, target)
        memory = module.memory(given)
        before = torch.cat([torch.full((2, 1), START), target[:, :-1]], dim=1)
        hidden = module.decoder(
            input_ids=module.place_V[before],
            encoder_hidden_states=memory,
            encoder_attention_mask=given.mask_NS,
        ).last_hidden_state
        for n in range(2):
            for t in range(4):
                h = hidden[n, t]
                logits = [
                    float(h @ module.decoder.embed_tokens.weight[u] + module.bias_U[u]) for u in range(OWN)
                ]
                total = math.log(sum(math.exp(one) for one in logits))
                token = int(target[n, t])
                place = module.token_U.tolist().index(token) if token in module.token_U.tolist() else 0
                said = math.exp(logits[place] - total) if place else 0.0
                scores = [
                    float(module.query(h) @ module.key(memory[n, s])) / WIDTH**0.5
                    for s in range(int(given.mask_NS[n].sum()))
                ]
                weights = np.exp(scores) / np.exp(scores).sum()
                pointed = sum(w for s, w in enumerate(weights) if int(given.ids_NS[n, s]) == token)
                gate = 1 / (1 + math.exp(-float(module.gate(h))))
                p = gate * said + (1 - gate) * pointed if points else math.exp(logits[place] - total)
                assert float(found[n, t]) == pytest.approx(math.log(p + 1e-9), abs=2e-4)
                assert float(mean[n, t]) == pytest.approx(np.mean(logits) - total, abs=1e-4)


@pytest.mark.parametrize("points", [True, False])
def test_writing_sees_the_distribution_that_was_taught(points: bool) -> None:
    one, given = decoder(points), source()
    module: Any = one.module
    target = torch.tensor([[11, 12, 13], [14, 11, 11]])
    with torch.no_grad():
        taught, _ = one.log_probabilities(given, target)
        memory = module.memory(given)
        for t in range(3):
            before = torch.cat([torch.full((2, 1), START), target[:, :t]], dim=1)
            logits = module(
                decoder_input_ids=before, encoder_outputs=(memory,), attention_mask=given.mask_NS,
                source_ids=given.ids_NS, keys=module.key(memory), use_cache=False,
            ).logits[:, -1]  # fmt: skip
            assert torch.allclose(logits.gather(1, target[:, t : t + 1])[:, 0], taught[:, t], atol=1e-4)
            # The place without a token is said by nobody, so a little may be missing from one.
            assert bool((logits.exp().sum(dim=1) < 1 + 1e-4).all())


def test_greedy_writing_is_the_likeliest_token_each_time() -> None:
    one, given = decoder(), source((6, 3))
    module: Any = one.module
    found = one.write(given, Writing(beams=1, most=6, no_repeat=0))
    with torch.no_grad():
        memory = module.memory(given)
        for n in range(2):
            written, length = [START], int(given.mask_NS[n].sum())
            ids, mask = given.ids_NS[n : n + 1, :length], given.mask_NS[n : n + 1, :length]
            for _ in range(6):
                logits = module(
                    decoder_input_ids=torch.tensor([written]), encoder_outputs=(memory[n : n + 1, :length],),
                    attention_mask=mask, source_ids=ids,
                    keys=module.key(memory[n : n + 1, :length]), use_cache=False,
                ).logits[0, -1]  # fmt: skip
                written.append(int(logits.argmax()))
                if written[-1] == END:
                    break
            assert found[n, : len(written)].tolist() == written


def test_beams_that_share_the_source_find_what_others_find() -> None:
    one, given = decoder(), source((6, 3, 5))
    module: Any = one.module
    writing = Writing(beams=4, most=8, no_repeat=3)
    shared = one.write(given, writing)
    memory = module.memory(given).detach()
    plain = module.generate(
        encoder_outputs=BaseModelOutput(last_hidden_state=memory), attention_mask=given.mask_NS,
        source_ids=given.ids_NS, keys=module.key(memory).detach(), **writing.options(),
    )  # fmt: skip
    assert torch.equal(shared, plain)


def test_what_is_not_in_the_own_vocabulary_can_be_pointed_at() -> None:
    one = decoder()
    one.module.gate.bias.data.fill_(-50.0)  # never in own words
    given = source((3,))
    given.ids_NS[:] = 49
    found = one.write(given, Writing(beams=1, most=4, no_repeat=0))
    assert found[0, 1:].tolist() == [49] * 4


def test_the_state_restores_the_decoder() -> None:
    one, given, target = decoder(), source(), torch.tensor([[11, 12], [13, END]])
    again = PointerDecoder(Shape(**one.facts())).eval()
    again.load_state_dict({name: torch.from_numpy(array) for name, array in one.tensors().items()})
    other = Pointer(again, one.module.words_VC)
    for a, b in zip(
        one.log_probabilities(given, target), other.log_probabilities(given, target), strict=True
    ):
        assert torch.equal(a, b)
    assert "words_VC" not in one.tensors()  # the encoder has them
