"""Source templates of reinforcement learning: environments, replay, deep Q-learning.

Every template is the body of a section, or a part of one, of the emitted script; `$name` slots are
filled by the family that uses it.
"""

CART_POLE = '''
class Environment:
    """Balance a pole on a cart: states (4,), actions 0 and 1 push left and right."""

    def __init__(self, config: Config) -> None:
        """Start with the cart at rest."""
        self.rng = np.random.default_rng(config.seed)
        self.max_steps = config.max_steps
        self.reset()

    def reset(self) -> np.ndarray:
        """Return the first state of a new episode."""
        self.state = self.rng.uniform(-0.05, 0.05, size=4)
        self.steps = 0
        return self.state.astype("float32")

    def step(self, action: int) -> tuple[np.ndarray, float, bool]:
        """Return the next state, the reward, and whether the episode ended."""
        position, speed, angle, turn = self.state
        force = 10.0 if action == 1 else -10.0
        push = (force + 0.05 * turn**2 * np.sin(angle)) / 1.1
        inertia = 0.5 * (4 / 3 - 0.1 * np.cos(angle) ** 2 / 1.1)
        turning = (9.8 * np.sin(angle) - np.cos(angle) * push) / inertia
        pushing = push - 0.05 * turning * np.cos(angle) / 1.1
        change = np.array([speed, pushing, turn, turning])
        self.state = self.state + 0.02 * change
        self.steps += 1
        fallen = abs(self.state[0]) > 2.4 or abs(self.state[2]) > 0.21
        return self.state.astype("float32"), 1.0, bool(fallen or self.steps >= self.max_steps)
'''

GRID_WORLD = '''
class Environment:
    """Walk to a goal on a grid: $state_text, the first four of `num_actions` move, the rest wait."""

    def __init__(self, config: Config) -> None:
        """Start on an empty grid."""
        self.rng = np.random.default_rng(config.seed)
        self.config = config
        self.reset()

    def reset(self) -> np.ndarray:
        """Return the first state of a new episode."""
        self.agent, self.goal = self.rng.integers(0, self.config.grid_size, size=(2, 2))
        self.steps = 0
        return self.observe()

    def observe(self) -> np.ndarray:
        """Return the state $state_shape."""
        $observe

    def step(self, action: int) -> tuple[np.ndarray, float, bool]:
        """Return the next state, the reward, and whether the episode ended."""
        moves = ((-1, 0), (1, 0), (0, -1), (0, 1))
        if action < len(moves):
            self.agent = np.clip(self.agent + moves[action], 0, self.config.grid_size - 1)
        self.steps += 1
        reached = bool((self.agent == self.goal).all())
        return self.observe(), 1.0 if reached else -0.01, reached or self.steps >= self.config.max_steps
'''

OBSERVE_IMAGE = """
image = np.zeros(($height, $width, $channels), dtype="float32")
scale = np.array(image.shape[:2]) / self.config.grid_size
for place, level in ((self.agent, 1.0), (self.goal, 0.5)):
    top, left = (place * scale).astype(int)
    bottom, right = np.maximum((place + 1) * scale, (top + 1, left + 1)).astype(int)
    image[top:bottom, left:right] = level
return image
"""

OBSERVE_VECTOR = """
places = np.concatenate([self.agent, self.goal]) / (self.config.grid_size - 1)
return np.resize(places, $state_size)$reshape.astype("float32")
"""

TRANSITIONS = '''


COLUMNS = ("states", "actions", "rewards", "next_states", "ended")


def make_synthetic(config: Config) -> None:
    """Write transitions.npz: `synthetic_samples` steps of an agent that acts at random."""
    environment = Environment(config)
    rng = np.random.default_rng(config.seed)
    columns: dict[str, list] = {name: [] for name in COLUMNS}
    state = environment.reset()
    for _ in range(config.synthetic_samples):
        action = int(rng.integers(config.num_actions))
        next_state, reward, ended = environment.step(action)
        for column, value in zip(columns.values(), (state, action, reward, next_state, ended)):
            column.append(value)
        state = environment.reset() if ended else next_state
    Path(config.data_dir).mkdir(parents=True, exist_ok=True)
    arrays = {name: np.array(rows) for name, rows in columns.items()}
    np.savez(Path(config.data_dir) / "transitions.npz", **arrays)


def load_data(config: Config):
    """Return (train, validation, test), each the states, actions, rewards, next states and endings."""
    if config.synthetic:
        make_synthetic(config)
    path = Path(config.data_dir) / "transitions.npz"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected arrays states, actions, rewards, next_states and ended")
    with np.load(path, allow_pickle=False) as arrays:
        columns = [arrays[name] for name in COLUMNS]
    first, second = int(0.7 * len(columns[0])), int(0.85 * len(columns[0]))
    return tuple(
        tuple(column[part] for column in columns)
        for part in (slice(0, first), slice(first, second), slice(second, None))
    )
'''

TRAIN = '''
class ReplayBuffer:
    """Keep the last `buffer_size` transitions and draw batches from them."""

    def __init__(self, config: Config) -> None:
        """Start with an empty memory."""
        self.memory = collections.deque(maxlen=config.buffer_size)
        self.rng = np.random.default_rng(config.seed)

    def add(self, *transition) -> None:
        """Store one state, action, reward, next state and ending."""
        self.memory.append(transition)

    def sample(self, size: int) -> list[np.ndarray]:
        """Return the columns of `size` transitions drawn with replacement."""
        picked = self.rng.integers(len(self.memory), size=size)
        return [np.array(column) for column in zip(*(self.memory[index] for index in picked))]


def q_targets(model: keras.Model, target: keras.Model, batch, config: Config) -> np.ndarray:
    """Return the values (batch, num_actions) that the network should give: Bellman's for the action taken."""
    states, actions, rewards, next_states, ended = batch
    values = model.predict_on_batch(states)
    following = target.predict_on_batch(next_states).max(axis=1)
    values[np.arange(len(actions)), actions] = rewards + config.discount * following * (1.0 - ended)
    return values


def choose_action(model: keras.Model, state: np.ndarray, epsilon: float, rng, config: Config) -> int:
    """Return a random action with probability epsilon, else the best one."""
    if rng.random() < epsilon:
        return int(rng.integers(config.num_actions))
    return int(model.predict_on_batch(state[None]).argmax())


def play_episode(model, target, buffer: ReplayBuffer, epsilon: float, config: Config) -> tuple[float, float]:
    """Play one episode and learn every `learn_every` steps; return the reward and the last losses."""
    environment, rng = Environment(config), buffer.rng
    environment.rng = rng
    state, ended, total, losses = environment.reset(), False, 0.0, []
    while not ended:
        action = choose_action(model, state, epsilon, rng, config)
        next_state, reward, ended = environment.step(action)
        buffer.add(state, action, reward, next_state, ended)
        state, total = next_state, total + reward
        if environment.steps % config.learn_every == 0 or ended:
            batch = buffer.sample(config.batch_size)
            values = q_targets(model, target, batch, config)
            losses.append(model.train_on_batch(batch[0], values, return_dict=True)["loss"])
    return total, float(np.mean(losses))


def train(config: Config) -> dict[str, float]:
    """Learn by deep Q-learning, one episode an epoch, from the logged transitions and the environment."""
    keras.utils.set_random_seed(config.seed)
    logged, _, _ = load_data(config)
    buffer = ReplayBuffer(config)
    for transition in zip(*logged):
        buffer.add(*transition)
    model, target = build_model(config), build_model(config)
    target.set_weights(model.get_weights())
    measures = {}
    for epoch in range(config.epochs):
        epsilon = max(config.epsilon_end, config.epsilon_start * config.epsilon_decay**epoch)
        reward, loss = play_episode(model, target, buffer, epsilon, config)
        measures = {"loss": loss, "reward": float(reward), "epsilon": float(epsilon)}
        if epoch % config.target_every == 0:
            target.set_weights(model.get_weights())
        print(f"episode {epoch + 1}/{config.epochs}: {measures}")
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    model.save_weights(output / "model.weights.h5")
    return measures
'''

EVALUATE = '''
def evaluate(config: Config) -> dict[str, float]:
    """Return the mean reward of greedy episodes and the Bellman error of the test transitions."""
    _, _, batch = load_data(config)
    model = load_trained(config)
    rng = np.random.default_rng(config.seed)
    environment, rewards = Environment(config), []
    for _ in range(config.test_episodes):
        state, ended, total = environment.reset(), False, 0.0
        while not ended:
            state, reward, ended = environment.step(choose_action(model, state, 0.0, rng, config))
            total += reward
        rewards.append(total)
    error = model.predict_on_batch(batch[0]) - q_targets(model, model, batch, config)
    return {"mean_reward": float(np.mean(rewards)), "bellman_error": float(np.square(error).mean())}
'''

PREDICT = '''
def predict(config: Config) -> np.ndarray:
    """Return the value of every action (states, num_actions) in the test states and save them."""
    _, _, batch = load_data(config)
    model = load_trained(config)
    values = model.predict(batch[0], batch_size=config.batch_size, verbose=0)
    np.save(Path(config.output_dir) / "predictions.npy", values)
    return values
'''
