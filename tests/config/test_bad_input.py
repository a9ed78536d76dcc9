"""Bad input: each is refused in one sentence that names the key, the value and what is allowed."""

import time

import pytest
from hydra.types import RunMode

from dlexp.cli.train import main
from dlexp.config.hydra_internals import told_in_sentences
from dlexp.config.plain import to_plain
from dlexp.config.schema import Config

# Overrides of one job, and what the sentence says.
REFUSED = [
    # one value
    ("seed=-1", "seed=-1 is not allowed: it must be a whole number between 0 and 4294967295."),
    ("seed=null", "seed=null is not allowed: it must be a whole number"),
    ("threads=0", "threads=0 is not allowed: it must be a whole number between 1 and 1024."),
    ("threads=100000", "threads=100000 is not allowed"),
    ("rerun=1", "rerun=1 is not allowed: it must be true or false."),
    ("records=lena", "records=lena is not allowed: it must be one of full or lean; did you mean lean?"),
    ("name=../../x", "name=../../x is not allowed: it must be a folder's name"),
    ("name=a/../x", "name=a/../x is not allowed"),
    ("name=/tmp/x", "name=/tmp/x is not allowed"),
    ("name=", "name='' is not allowed"),
    ("data.n_train=0", "data.n_train=0 is not allowed"),
    ("data.n_train=1e9", "data.n_train=1000000000.0 is not allowed: it must be a whole number"),
    ("data.n_test=true", "data.n_test=true is not allowed"),
    ("data.n_train='5'", "data.n_train=5 is not allowed"),
    ("data.noise=-0.1", "data.noise=-0.1 is not allowed: it must be a finite number at least 0."),
    ("data.noise=nan", "data.noise=nan is not allowed"),
    ("data.noise=true", "data.noise=true is not allowed"),
    (
        "data.test_noise=-1",
        "data.test_noise=-1 is not allowed: it must be a finite number at least 0, or null",
    ),
    ("data.batch_size=half", "data.batch_size=half is not allowed: it must be full or a whole number"),
    ("data.batch_size=fulll", "did you mean full?"),
    ("data.batch_size=2.5", "data.batch_size=2.5 is not allowed"),
    ("data.batch_size=true", "data.batch_size=true is not allowed"),
    ("model.width=0", "model.width=0 is not allowed"),
    ("model.width=10**23", "model.width=10**23 is not allowed"),
    ("model.width=100000000000000000000000", "model.width=100000000000000000000000 is not allowed"),
    ("model.depth=-1", "model.depth=-1 is not allowed"),
    ("model.activation=tan", "model.activation=tan is not allowed: it must be one of relu, tanh"),
    ("model.activation=tan", "did you mean tanh?"),
    ("model.parametrization=feature", "one of standard, ntk or mup"),
    ("model.weight_std=0", "model.weight_std=0.0 is not allowed: it must be a finite number above 0"),
    ("model._target_=", "model._target_='' is not allowed: it must be the dotted name of a class"),
    ("model.options=3", "model.options=3 is not allowed: it must be a mapping"),
    ("optimizer.lr=0", "optimizer.lr=0.0 is not allowed: it must be a finite number above 0."),
    ("optimizer.lr=inf", "optimizer.lr=inf is not allowed"),
    ("optimizer.lr=fast", "optimizer.lr=fast is not allowed"),
    ("optimizer.name=lion", "optimizer.name=lion is not allowed: it must be one of sgd, gradient_descent"),
    ("name=a//b", "name=a//b is not allowed"),
    ("name=a/", "name=a/ is not allowed"),
    ("name=null", "name=null is not allowed"),
    ("optimizer=sgd optimizer.momentum=1", "optimizer.momentum=1.0 is not allowed"),
    (
        "optimizer.betas=[.9]",
        "optimizer.betas=[0.9] is not allowed: it must be a list of 2 values, each a finite",
    ),
    ("optimizer.betas=[.9,.9,.9]", "optimizer.betas=[0.9,0.9,0.9] is not allowed"),
    ("optimizer.betas=[.9,1]", "optimizer.betas=[0.9,1.0] is not allowed"),
    ("optimizer.betas=0.9", "optimizer.betas=0.9 is not allowed"),
    ("optimizer.schedule=exponential", "one of constant, cosine or linear"),
    (
        "training.loss=mss",
        "training.loss=mss is not allowed: it must be mse, half_mse, huber, cross_entropy or the dotted name",
    ),
    (
        "training.engine=fast",
        "training.engine=fast is not allowed: it must be one of auto, loop, stack or replay.",
    ),
    ("training.log_points.per_decade=1e9", "training.log_points.per_decade=1000000000.0 is not allowed"),
    ("training.log_points.per_decade=1001", "a whole number between 1 and 1000."),
    ("training.stopping.patience=0", "training.stopping.patience=0 is not allowed"),
    ("trainer.max_steps=-5", "trainer.max_steps=-5 is not allowed"),
    ("trainer.gradient_clip_val=-1", "trainer.gradient_clip_val=-1.0 is not allowed"),
    ("trainer.gradient_clip_algorithm=l2", "one of norm or value, or null for norm"),
    ("trainer.accumulate_grad_batches=0", "trainer.accumulate_grad_batches=0 is not allowed"),
    ("trainer.precision=foo", "trainer.precision=foo is not allowed: it must be one of 32-true, 64-true"),
    ("trainer.accelerator=foo", "trainer.accelerator=foo is not allowed: it must be one of auto, cpu"),
    ("trainer.profiler=foo", "trainer.profiler=foo is not allowed: it must be one of simple"),
    ("trainer.devices=0", "trainer.devices=0 is not allowed: it must be auto or a whole number"),
    ("trainer.max_time=soon", "trainer.max_time=soon is not allowed: it must be a time DD:HH:MM:SS"),
    ("trainer.deterministic=wran", "did you mean warn?"),
    # a callback's or a law's own
    ("callbacks=[hessian] callbacks.hessian.tolerance=0", "callbacks.hessian.tolerance=0 is not allowed"),
    (
        "callbacks=[hessian] callbacks.hessian.every_n_steps=0",
        "callbacks.hessian.every_n_steps=0 is not allowed",
    ),
    ("callbacks=[hessian] callbacks.hessian=3", "callbacks.hessian=3 is not allowed: it must be a mapping"),
    ("callbacks=[sharpness] callbacks.sharpness.measures=[wrst_case]", "did you mean worst_case?"),
    (
        "callbacks=[sharpness] callbacks.sharpness.measures=[]",
        "callbacks.sharpness.measures=[] is not allowed",
    ),
    ("callbacks=[landscape] callbacks.landscape.plane_points=50", "an odd whole number between 3"),
    ("callbacks=[geometry] callbacks.geometry.layers=a", "callbacks.geometry.layers=a is not allowed"),
    ("callbacks=[pruning] callbacks.pruning.rate=1", "callbacks.pruning.rate=1 is not allowed"),
    ("+callbacks.mine={rate:1}", "callbacks.mine._target_ is missing"),
    ("+callbacks.mine._target_=nowhere", "callbacks.mine._target_=nowhere is not allowed"),
    (
        "callbacks=[ntk] callbacks.ntk._target_=dlexp.callbacks.ntk.NTL",
        "did you mean dlexp.callbacks.ntk.NTK?",
    ),
    ("data=sphere data.generator.target=sine", "data.generator.target=sine is not allowed"),
    ("data=tent data.generator.compositions=0", "data.generator.compositions=0 is not allowed"),
    (
        "data.generator._target_=dlexp.data.generators.nowhere",
        "data.generator._target_=dlexp.data.generators",
    ),
    ("logger.tensorboard._target_=null", "logger.tensorboard._target_ is missing"),
    # values that belong together
    ("data.batch_size=101", "it must be full or a whole number between 1 and data.n_train=100."),
    ("data=gaussian_mixture data.noise=1.5", "data.noise=1.5 is not allowed: it must be at most 1"),
    ("data=gaussian_mixture training.loss=mse", "it must be cross_entropy with data.task=classification"),
    ("training.loss=cross_entropy", "it must be mse, half_mse or huber with data.task=regression"),
    ("data.output_dim=3", "data.output_dim=3 is not allowed: it must be 1 with data.generator._target_="),
    ("data=digits data.input_dim=63", "data.input_dim=63 is not allowed: it must be 64"),
    ("data=digits data.n_train=1001", "data.n_train=1001 is not allowed: it must be at most 1797 together"),
    ("data=sine_sum data.input_dim=2", "data.input_dim=2 is not allowed: it must be at least 3"),
    (
        "data=parity data.input_dim=2",
        "data.generator.bits=3 is not allowed: it must be at most data.input_dim=2",
    ),
    ("data.generator.teacher_dim=3", "it must be at least data.input_dim=20, or null"),
    ("model.width=null", "model.width=null is not allowed: it must be a whole number, at least 1, unless"),
    ("model.depth=null", "model.depth=null is not allowed: it must be set"),
    ("model.budget=100", "model.width=50 is not allowed: it must be null with model.budget=100"),
    (
        "model=deep model.budget=10",
        "model.budget=10 is not allowed: it must be at least 31 with model.depth=5",
    ),
    ("model=wide model.depth=0", "model.depth=0 is not allowed: it must be at least 1"),
    ("model=wide model.readout_bias=false", "model.readout_bias=false is not allowed: it must be null"),
    (
        "model=linear model.depth=3",
        "model.depth=3 is not allowed: it must be null: dlexp.models.linear.Linear",
    ),
    ("model=linear model.initialization=normal", "it must be one of zeros or pytorch"),
    (
        "model.parametrization=ntk model.initialization=xavier",
        "it must be normal with model.parametrization=ntk",
    ),
    ("model=tent_map data=tent", "trainer.precision=32-true is not allowed: it must be 64-true"),
    ("model=shallow_tent_map data=tent trainer.precision=64-true model.depth=99", "it must be at most 20"),
    (
        "optimizer.momentum=0.9",
        "optimizer.momentum=0.9 is not allowed: it must be 0 with optimizer.name=adam",
    ),
    ("optimizer=gradient_descent data.batch_size=10", "it must be full with optimizer.name=gradient_descent"),
    ("optimizer.name=null", "optimizer.name=null is not allowed"),
    ("optimizer._target_=torch.optim.RMSprop", "it must be null with optimizer._target_=torch.optim.RMSprop"),
    ("trainer.max_steps=-1", "trainer.max_steps=-1 is not allowed: it must be a number"),
    (
        "trainer.min_steps=5000",
        "trainer.min_steps=5000 is not allowed: it must be at most trainer.max_steps=4000.",
    ),
    ("trainer.max_epochs=3 trainer.min_epochs=4", "it must be at most trainer.max_epochs=3."),
    ("objective=test/los", "objective=test/los is not allowed: it must be a metric that the job records"),
    ("objective=test/error", "objective=test/error is not allowed"),
    ("objective=ntk/drift", "objective=ntk/drift is not allowed"),
    ("arm=a", "arm=a is not allowed: it must be null without a study that has arms."),
    ("study=double_descent arm=widht", "did you mean width?"),
    ("callbacks=[barrier] callbacks.barrier.checkpoint=a", "it must be null with partner=twin"),
    ("callbacks=[barrier] callbacks.barrier.split_step=5", "it must be null with data.batch_size=full"),
    ("callbacks=[barrier] callbacks.barrier.split_step=9999", "it must be below the number of steps, 4000"),
    ("callbacks=[landscape] callbacks.landscape.directions=trajectory", "a trajectory has at least 3"),
    (
        "callbacks=[pruning]",
        "training.stopping.train_loss=1e-07 is not allowed: it must be null with callbacks.",
    ),
    ("callbacks=[pruning] trainer.max_steps=99", "as those of 95 steps do"),
    (
        "callbacks=[min_norm] data=digits",
        "training.loss=cross_entropy is not allowed: it must be mse or half_mse",
    ),
    (
        "callbacks=[linear_pieces]",
        "data.input_dim=20 is not allowed: it must be 1 with callbacks.linear_pieces",
    ),
    ("callbacks=[linear_pieces] callbacks.linear_pieces.lower=2", "it must be below upper=1.0"),
    ("callbacks=[least_squares,random_feature_risk]", "trainer.max_steps=4000 is not allowed: it must be 0"),
    ("callbacks=[random_feature_risk] trainer.max_steps=0", "it must be a list with least_squares"),
    ("callbacks=[isotropic_risk] data=sphere", "it must be dlexp.data.generators.linear_teacher"),
    (
        "callbacks=[geometry] callbacks.geometry.measures=[class_separation]",
        "data.task=regression has no classes",
    ),
    ("callbacks=[critical_points] optimizer=adamw", "it must be 0 with callbacks.critical_points"),
    # keys and options
    ("model.widht=5", "model.widht is not a key of the configuration; did you mean model.width?"),
    ("width=5", "width is not a key of the configuration; did you mean model.width?"),
    ("modle=linear", "modle is not a key of the configuration; did you mean model?"),
    ("model.width.x=5", "model.width.x is not a key of the configuration"),
    ("callbacks.hessian.n_samples=5", "callbacks=[hessian] chooses hessian."),
    ("callbacks=[ntk] callbacks.ntk.every=5", "callbacks.ntk.every is not a key of the configuration"),
    ("+callbacks=[ntk] +callbacks.ntk.n_sample=5", "callbacks.ntk.n_sample is not a key"),
    ("+model.deepness=3", "model.deepness is not a key of the configuration"),
    ("+training.log_points.evry=3", "training.log_points.evry is not a key of the configuration"),
    ("+nothing=3", "nothing is not a key of the configuration"),
    ("+data.generator.slope=3", "data.generator.slope is not a key of the configuration"),
    ("+trainer.num_nodes=4", "trainer.num_nodes is not a key of the configuration"),
    ("+trainer.limit_train_batches=0", "trainer.limit_train_batches is not a key of the configuration"),
    ("+trainer.fast_dev_run=true", "trainer.fast_dev_run is not a key of the configuration"),
    (
        "+trainer.max_stepz=5",
        "trainer.max_stepz is not a key of the configuration; did you mean trainer.max_steps?",
    ),
    ("+model.width=5", "model.width is there already, so that it is set without the +."),
    ("model=liner", "model=liner is not allowed: it must be one of bumps, cnn, conv1d"),
    ("model=liner", "did you mean linear?"),
    ("callbacks=[hessain]", "did you mean hessian?"),
    ("study=duoble_descent", "did you mean double_descent?"),
    ("~model", "model._target_ is missing: it must be the dotted name of a class"),
    ("~seed", "seed is missing: it must be a whole number"),
    ("~data", "data.n_train is missing"),
    ("~training", "training=null is not allowed: it must be a mapping with the keys loss, engine"),
    ("~hydra", "~hydra is not allowed: there is no hydra to leave out."),
    ("+data=tent", "+data is not allowed: data is there already"),
    ("callbacks=3", "callbacks=3 is not allowed: of a group, it must be the name of an option."),
    ("optimizer=3", "optimizer=3 is not allowed: of a group"),
    ("optimizer=", "optimizer='' is not allowed: it must be one of adam"),
    ("model.options={scale:1}", "+model.options={name:value} adds one."),
    ("data.generator=null", "data.generator=null is not allowed: it must be a mapping of names to values."),
    ("callbacks=[ntk] callbacks.ntk.n_sample=3", "did you mean callbacks.ntk.n_samples?"),
    ("callbacks=[mine] callbacks.mine.rte=3", "did you mean callbacks.mine.rate?"),
    ("seed={a:1}", "seed={a:1} is not allowed: it must be a whole number"),
    ("seed=[1]", "seed=[1] is not allowed: it must be a whole number"),
    ("seed", "seed cannot be read: it must be key=value"),
    ("seed==1", "seed==1 cannot be read"),
    ("threads=1.0", "threads=1.0 is not allowed"),
    ("trainer.max_steps=1e3", "trainer.max_steps=1000.0 is not allowed: it must be a whole number"),
    ("optimizer.lr=1e400", "optimizer.lr=inf is not allowed"),
    ("~data.noise", "data.noise is missing"),
    ("~nothing", "~nothing is not allowed: there is no nothing to leave out."),
    ("model=null", "model=null is not allowed: of a group, it must be the name of an option."),
    ("model.width=[1", "model.width=[1 cannot be read"),
    ("seed=1,2", "seed=1,2 is not allowed without -m"),
    ("seed=range(0)", "seed=range(0) is not allowed without -m"),
    # interpolations and files
    ("model.width=${nope.here}", "model.width refers to nope.here, which does not exist."),
    ("model.width=${data.n_trian}", "did you mean data.n_train?"),
    ("model.width=${nope:1}", "model.width refers to a resolver nope, which does not exist."),
    ("name=${oc.env:NOPE}", "name cannot be resolved: KeyError raised while resolving"),
    ("model.width=${data}", "model.width={generator:{_target_"),
    ("model.width=${data.n_train", "model.width=${data.n_train cannot be read"),
    ("name=${name}", "name cannot be resolved: Recursive interpolation detected."),
    ("data=broken", "data/broken.yaml, line 3, column 1, cannot be read: expected ',' or ']'"),
    ("data=twice", "data/twice.yaml, line 2, column 1, cannot be read: found duplicate key"),
    ("data=empty", "data.task is missing: it must be one of regression or classification."),
    ("data=binary", "data=binary is not allowed: 'utf-8' codec can't decode"),
    ("data=scalar", "data=scalar is not allowed: Invalid loaded object type: int."),
    ("data=tab", "data/tab.yaml, line 1, column 9, cannot be read: found character"),
    ("callbacks=[without]", "callbacks.without._target_ is missing: it must be the dotted name"),
    ("callbacks=[flat]", "callbacks._target_=my.Callback is not allowed: it must be a mapping with _target_"),
    ("data=short", "data.task is missing: it must be one of regression or classification."),
    ("data=listed", "data/listed.yaml cannot be composed: it must hold keys and values"),
    ("data=elsewhere", "data=nowhere is not allowed"),
]


@pytest.mark.parametrize(("overrides", "fragment"), REFUSED)
def test_bad_input_is_refused_in_a_sentence(overrides, fragment, refusal):
    problems = refusal(*overrides.split(" "))
    assert any(fragment in problem for problem in problems), problems
    assert all("\n" not in problem and problem.endswith((".", "?")) for problem in problems)


def test_all_problems_are_told_at_once(refusal):
    problems = refusal("model.width=0", "optimizer.lr=-1", "trainer.min_steps=5000", "data.batch_size=101")
    assert len(problems) == 4


def test_a_rule_is_not_asked_of_a_value_that_is_wrong_by_itself(refusal):
    assert len(refusal("data.batch_size=many", "data.n_train=-3")) == 2


# Whole command lines: what only Hydra, a launcher or torch can meet. CONF stands for a folder of options.
COMMANDS = [
    # values that need an import, or this machine
    ("trainer=gpu", "trainer.accelerator=gpu is not allowed: it must be auto or cpu on this machine."),
    ("-m trainer.accelerator=mps seed=0,1", "trainer.accelerator=mps is not allowed: it must be auto or cpu"),
    ("logger.tensorboard._target_=nowhere.Logger", "_target_=nowhere.Logger is not allowed: No module named"),
    (
        "+logger.mine._target_=mine.nothing",
        "logger.mine._target_=mine.nothing is not allowed: module 'mine' has",
    ),
    ("+logger.mine._target_=mine.Takes", "it must be a class of pytorch_lightning.loggers.Logger's kind"),
    (
        "-m +logger.mine._target_=mine.TakesNothing seed=0,1",
        "logger.mine: mine.TakesNothing does not take these",
    ),
    (
        "+callbacks.mine._target_=nowhere.C",
        "callbacks.mine._target_=nowhere.C is not allowed: No module named",
    ),
    ("+callbacks.mine._target_=mine.needs.C", "callbacks.mine._target_=mine.needs.C is not allowed"),
    ("+callbacks.mine._target_=mine.NUMBER", "=mine.NUMBER is not allowed: it must be a class or function."),
    ("+callbacks.mine._target_=mine.Takes", "it must be a class of pytorch_lightning.Callback's kind"),
    ("data.generator._target_=mine.nothing", "data.generator._target_=mine.nothing is not allowed"),
    ("data.generator._target_=mine.TakesNothing", "data.generator: mine.TakesNothing does not take these"),
    ("model._target_=mine.nothing", "model._target_=mine.nothing is not allowed: module 'mine' has no"),
    ("model._target_=mine.TakesNothing", "model._target_=mine.TakesNothing cannot be made"),
    ("model._target_=mine.Takes", "it must be a class of torch.nn.Module's kind"),
    ("optimizer.name=null optimizer._target_=nowhere.A", "optimizer._target_=nowhere.A is not allowed"),
    (
        "optimizer.name=null optimizer._target_=mine.TakesNothing",
        "optimizer._target_=mine.TakesNothing cannot",
    ),
    ("training.loss=mine.nothing", "training.loss=mine.nothing is not allowed: module 'mine' has no"),
    ("training.loss=mine.Takes", "training.loss=mine.Takes is not allowed: it must be a dlexp.losses.Loss."),
    ("callbacks=[geometry] callbacks.geometry.layers=[nope]", "layers names 'nope', which MLP has not"),
    # one job
    ("arm=a", "arm=a is not allowed: it must be null without a study that has arms."),
    ("~seed", "run:\n  seed is missing: it must be a whole number between 0 and 4294967295."),
    ("trainer.devices=2", "trainer.devices=2 is not allowed: it must be 1 or auto without -m"),
    ("hydra.run.dir=", "hydra.run.dir='' is not allowed: it must be the path of a folder."),
    ("hydra.run.dir=${nope}", "hydra.run.dir refers to nope, which does not exist."),
    ("hydra.run.dir=/proc/x", "Results cannot be written to /proc/x: "),
    (
        "hydra.output_subdir=../x",
        "hydra.output_subdir=../x is not allowed: it must be the name of one folder",
    ),
    # a sweep
    ("-m seed=range(0)", "seed=range(0) is not allowed: it has no values."),
    ("-m seed=range(3,1)", "seed=range(3,1) is not allowed: it has no values."),
    ("-m seed=range(0,3,0)", "a range has at most 1000000 values, and a step that is not 0."),
    ("-m seed=range(1e12)", "seed=range(1e12) is not allowed: a range has at most 1000000 values"),
    ("-m seed=shuffle(range(1e12))", "seed=shuffle(range(1e12)) is not allowed: a range has at most"),
    ("-m seed=range(2000) data.seed=range(2000)", "A sweep of 4000000 jobs is not allowed: it must be of at"),
    ("-m seed=interval(0,1)", "seed=interval(0,1) is not allowed: a sweep needs a list of values."),
    ("-m seed=1,,2", "seed=1,,2 cannot be read: it must be key=value"),
    ("-m seed=0,1 model.width=${nope}", "model.width refers to nope, which does not exist. (2 of 2 jobs)"),
    ("-m seed=0,1 hydra.sweep.dir=${nope}", "hydra.sweep.dir refers to nope, which does not exist."),
    ("-m seed=0,1 hydra.sweep.dir=", "hydra.sweep.dir='' is not allowed: it must be the path of a folder."),
    ("-m seed=0,1 hydra.sweep.subdir=${nope}", "hydra.sweep.subdir refers to nope, which does not exist."),
    ("-m seed=0,1 hydra.sweep.subdir=", "hydra.sweep.subdir='' is not allowed: it must be the name of one"),
    (
        "-m seed=0,1 hydra.sweep.subdir=same",
        "2 jobs, the first of them seed=0 and seed=1, would write into one",
    ),
    ("-m seed=0,1 hydra.sweep.subdir=../${seed}", "hydra.sweep.subdir=../0 is not allowed"),
    ("-m seed=0,1 hydra.sweep.subdir=/tmp/${seed}", "hydra.sweep.subdir=/tmp/0 is not allowed"),
    ("-m seed=0,1 hydra.output_subdir=/tmp/x", "hydra.output_subdir=/tmp/x is not allowed"),
    ("-m name=a,b", "hydra.sweep.dir=outputs/a is not allowed: it must be the same for all jobs of a sweep"),
    ("-m seed=0,-1 hydra/launcher=basic", "seed=-1 is not allowed: it must be a whole number"),
    ("-m seed=0,1 hydra/launcher=basic trainer=gpu", "trainer.accelerator=gpu is not allowed"),
    (
        "-m seed=0,1 hydra.sweeper.max_batch_size=0",
        "hydra.sweeper.max_batch_size=0 is not allowed: it must be a",
    ),
    ("-m seed=0,1 hydra.launcher.workers=0", "hydra.launcher.workers=0 is not allowed: it must be a whole"),
    (
        "-m seed=0,1 hydra.launcher.memory_gib=-1",
        "hydra.launcher.memory_gib=-1.0 is not allowed: it must be a",
    ),
    ("-m seed=0,1 hydra.launcher.memory_gib=nan", "hydra.launcher.memory_gib=nan is not allowed"),
    (
        "-m seed=0,1 hydra.launcher.memory_gib=big",
        "hydra.launcher.memory_gib=big is not allowed: it must be a nu",
    ),
    (
        "-m seed=0,1 hydra.launcher.together=so",
        "hydra.launcher.together=so is not allowed: it must be true or",
    ),
    (
        "-m seed=0,1 hydra.launcher.executor=3",
        "hydra.launcher.executor=3 is not allowed: it must be _target_ of",
    ),
    (
        "-m seed=0,1 hydra.launcher.executor={_target_:nowhere.E}",
        "hydra.launcher.executor cannot be made: Error",
    ),
    ("-m seed=0,1 hydra.launcher.wrokers=2", "did you mean hydra.launcher.workers?"),
    # Hydra's own
    ("hydra/launcher=vectorised", "it must be one of basic, serial or vectorized; did you mean vectorized?"),
    (
        "hydra/sweeper=arm",
        "hydra/sweeper=arm is not allowed: it must be one of arms or basic; did you mean arms?",
    ),
    ("hydra.mode=MULTRUN", "it must be one of RUN or MULTIRUN; did you mean MULTIRUN?"),
    ("hydra.sweep.dri=x", "hydra.sweep.dri is not a key of the configuration; did you mean hydra.sweep.dir?"),
    ("--config-name nope", "Cannot find primary config 'nope'."),
    ("--config-dir nowhere", "Additional config directory"),
    ("--cfg job model.widht=5", "model.widht is not a key of the configuration; did you mean model.width?"),
    # files of one's own
    ("CONF data=binary", "data=binary is not allowed: 'utf-8' codec can't decode"),
    ("CONF data=scalar", "data=scalar is not allowed: Invalid loaded object type: int."),
    ("CONF data=broken", "data/broken.yaml, line 3, column 1, cannot be read: expected ',' or ']'"),
    ("CONF data=short", "data.task is missing: it must be one of regression or classification."),
    ("CONF study=own", "study=own is not allowed without -m or hydra.mode: MULTIRUN in its file: it sweeps."),
    ("-m CONF study=own,double_descent", "is not allowed: one study at a time"),
    (
        "-m CONF study=list",
        "study/list.yaml cannot be composed: it must hold keys and values",
    ),
    ("-m CONF study=arm", "study.arms.a=3 is not allowed: it must be a mapping of keys to values."),
    ("-m CONF study=python", "study.python=nowhere.py is not allowed: there is no file"),
    ("-m CONF study=key", "modle.width is not a key of the configuration; did you mean model.width?"),
]
MINE = """
NUMBER = 3

class TakesNothing:
    pass

class Takes:
    def __init__(self, *arguments, **settings):
        pass
"""


@pytest.fixture
def place(option_files, tmp_path, monkeypatch):
    """An empty folder to run in, with options and a module of one's own."""
    (option_files / "mine").mkdir(exist_ok=True)
    (option_files / "mine" / "__init__.py").write_text(MINE)
    (option_files / "mine" / "needs.py").write_text("import a_package_that_is_not_there")
    monkeypatch.syspath_prepend(str(option_files))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("line", "fragment"),
    [
        *COMMANDS[::8],
        *(pytest.param(*row, marks=pytest.mark.slow) for n, row in enumerate(COMMANDS) if n % 8),
    ],
)
def test_a_command_is_refused_before_anything_is_trained(
    line, fragment, place, option_files, monkeypatch, capfd
):
    arguments = line.replace("CONF", f"hydra.searchpath=[file://{option_files}]").split(" ")
    monkeypatch.setattr("sys.argv", ["train.py", *arguments])
    monkeypatch.setattr("signal.signal", lambda *_: None)
    start = time.process_time()
    with pytest.raises(SystemExit) as end:
        main()
    assert time.process_time() - start < 10
    assert fragment in end.value.code
    assert all(problem.endswith((".", "?", "jobs)")) for problem in end.value.code.splitlines()[1:])
    assert capfd.readouterr() == ("", "")  # the sentence alone is printed, by Python
    assert not [*place.rglob("result.json"), *place.rglob("*.ckpt")]


@pytest.mark.slow
@pytest.mark.parametrize(("overrides", "fragment"), [row for row in REFUSED if "arm=" not in row[0]])
def test_one_job_is_refused_as_those_of_a_sweep_are(overrides, fragment, composer):
    shared = [line for line in composer.master.hydra.overrides.hydra if "searchpath" in line]
    with pytest.raises(SystemExit) as end, told_in_sentences(overrides.split(" ")):
        Config.check(
            to_plain(
                composer.loader.load_configuration("train", [*shared, *overrides.split(" ")], RunMode.RUN)
            )
        )
    assert fragment in end.value.code
