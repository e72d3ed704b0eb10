"""What users of other tools have reported for years, each with the tests that it passes here.

 8  a resumed run is not the uninterrupted one (nanoGPT #467, transformers #11323, Lightning #17543)
 9  a thawed layer never moves: not in the optimizer, or frozen again by a resume (Lightning #21901)
10  "how do I freeze BERT", answered by a line that does nothing (transformers #400, #1431)
11  rates by layer and no decay of biases and norms, together (transformers #1444, #4962)
12  partial checkpoints load silently, or with warnings that nobody understands (pytorch #9530)
15  class weights and the focal loss want a subclass (transformers #7024, #9625, #12997)
16  accumulated gradients are not those of the large batch (transformers #24725)
17  the loss is NaN where no word is masked (transformers #16711)
18  fine-tuning is unstable and ends in one class (google-research/bert #175, transformers #735)
19  what was known before is forgotten, and nobody measured it (LlamaFactory #19, litgpt #1517)

and: an adapter is saved without its head, which is random after loading (peft #310, #577, #876).
`TESTS` says where; a test here sees to it that they are there. Reports 11 and 18 have tests of
their own below.
"""

import ast
from pathlib import Path

import pytest
from test_finetune import classifier

from minift import finetune
from minift.jobs.options import TrainingOptions
from minift.jobs.recipe import LR, NEW_HEAD, SCHEDULES, choose_recipe
from minift.train import TrainConfig, adamw

TESTS = {
    "8": [
        ("test_resume", "test_a_run_that_is_killed_at_random_moments_ends_with_the_same_weights"),
        ("test_resume", "test_on_every_device_a_resumed_run_is_the_uninterrupted_one"),
        (
            "test_resume",
            "test_validation_batches_that_are_shuffled_come_in_the_order_of_the_uninterrupted_run",
        ),
        (
            "test_resume",
            "test_with_other_settings_a_resumed_run_is_the_uninterrupted_one_too",
        ),
        (
            "test_finetune_resume",
            "test_a_run_that_is_killed_again_and_again_ends_as_the_uninterrupted_one",
        ),
        (
            "test_finetune_resume_options",
            "test_a_run_in_pieces_leaves_what_the_whole_run_leaves",
        ),
    ],
    "9": [
        (
            "test_finetune",
            "test_a_layer_that_is_not_in_the_optimizer_is_refused_before_the_first_step",
        ),
        ("test_finetune", "test_a_thawed_layer_moves_within_one_step"),
        ("test_finetune", "test_thawing_leaves_the_moments_of_what_already_trains_untouched"),
        ("test_resume", "test_after_a_resume_the_frozen_rests_and_the_unfrozen_moves_in_one_step"),
        (
            "test_resume",
            "test_a_run_that_ends_at_any_step_goes_on_bit_for_bit_across_every_unfreezing",
        ),
    ],
    "10": [
        ("test_nn_module", "test_freezing_names_what_it_touched_by_parameter_or_enclosing_path"),
        ("test_nn_module", "test_a_pattern_that_names_nothing_raises_with_the_nearest_names"),
        ("test_nn_module", "test_setting_requires_grad_on_a_module_points_to_freeze"),
        ("test_finetune", "test_a_frozen_body_costs_no_backward"),
        ("test_frozen_proof", "test_frozen_tensors_are_hash_identical_after_training"),
        ("test_frozen_proof", "test_frozen_modules_rest_while_the_head_trains"),
    ],
    "11": [("test_user_reports", "test_rates_by_layer_and_no_decay_of_vectors_go_together")],
    "12": [
        ("test_nn_module", "test_loading_lists_everything_that_does_not_fit_and_writes_nothing"),
        ("test_pretrained", "test_less_than_the_body_is_an_error_unless_asked_for"),
        ("test_pretrained", "test_a_new_head_is_said_in_one_line"),
    ],
    "15": [
        (
            "test_finetune_strategies",
            "test_the_remedies_are_named_and_the_rare_class_has_its_curve",
        ),
        (
            "test_finetune_images",
            "test_the_remedies_are_named_and_the_rare_class_has_its_curve",
        ),
        ("test_objectives", "test_classification_weighs_and_smooths_as_written_out"),
        (
            "test_objectives",
            "test_the_focal_loss_counts_hard_rows_more_and_gamma_0_is_cross_entropy",
        ),
    ],
    "16": [
        ("test_accumulation", "test_the_step_is_that_of_the_large_batch"),
        ("test_l2_sp", "test_accumulated_batches_are_pulled_once"),
        ("test_finetune_images", "test_accumulated_batches_make_the_step_of_the_large_one"),
    ],
    "17": [
        ("test_extremes", "test_if_all_targets_are_ignored_loss_and_gradient_are_zero"),
        ("test_data_masking", "test_special_tokens_stay_and_every_row_asks_something"),
        ("test_objectives", "test_a_batch_without_hidden_words_or_labels_is_refused"),
    ],
    "18": [
        ("test_user_reports", "test_a_new_head_has_one_rate_whatever_the_body_does"),
        ("test_user_reports", "test_every_schedule_starts_low_by_default"),
        ("test_train_watchers", "test_a_model_that_predicts_one_class_is_told_of"),
    ],
    "19": [
        ("test_forgetting", "test_every_report_has_the_source_loss_before_and_after"),
        ("test_forgetting", "test_a_report_says_why_there_is_none"),
        ("test_finetune_images", "test_every_report_has_the_source_loss_before_and_after"),
    ],
    "adapter": [("test_lora", "test_an_adapter_without_its_head_is_refused")],
}


@pytest.mark.parametrize("report", TESTS)
def test_each_report_has_its_tests(report):
    for module, name in TESTS[report]:
        source = Path(__file__).with_name(f"{module}.py").read_text(encoding="utf-8")
        names = [n.name for n in ast.parse(source).body if isinstance(n, ast.FunctionDef)]
        assert name in names, f"{module}.py has no {name}"


def test_rates_by_layer_and_no_decay_of_vectors_go_together():
    model = classifier()
    groups = finetune.layerwise_lr(model, lr=1.0, decay=0.5)
    optimizer = adamw(groups, lr=1.0, weight_decay=0.01)
    found = {id(p): (g["lr"], g["weight_decay"]) for g in optimizer.param_groups
             for p in g["params"]}  # fmt: skip
    layers = list(reversed(finetune.layers_of(model)))
    for name, p in model.named_parameters():
        depth = next(i for i, layer in enumerate(layers) if name in layer)
        assert found[id(p)] == (0.5**depth, 0.01 if p.ndim >= 2 else 0.0), name
    assert len(found) == len(model.parameters())


@pytest.mark.parametrize("strategy", ["full", "discriminative", "gradual", "lora", "head"])
@pytest.mark.parametrize("new_head", [True, False])
def test_a_new_head_has_one_rate_whatever_the_body_does(strategy, new_head):
    model = classifier()
    options = TrainingOptions(model="m", output=Path("o"), strategy=strategy)
    recipe = choose_recipe(options, LR, rows=100, new_head=new_head)
    found = {id(p): g["lr"] for g in recipe.prepare(model).param_groups for p in g["params"]}
    own = {found.pop(id(p)) for p in model.classifier.parameters()}
    lr = LR[strategy]
    assert own == {NEW_HEAD if new_head else lr}
    assert all(rate <= lr for rate in found.values())


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_starts_low_by_default(name):
    schedule, share = SCHEDULES[name]
    assert schedule(0, 100, int(share * 100)) <= 0.1
    assert TrainConfig().warmup > 0
