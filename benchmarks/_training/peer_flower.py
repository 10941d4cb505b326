"""The same rounds by Flower's simulation: its strategy FedAvg over Ray actors.

The evaluation on the server waits between the rounds.
"""

import sys
from functools import cache

import torch
from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation


@cache
def client_data(line):
    """The data and the model of a client, read once in each actor."""
    import json

    from work import PlainCnn, Work, WorkItem, normalised

    torch.set_num_threads(1)
    fields = json.loads(line)
    setting = WorkItem(**(fields | {"work": Work(**fields["work"])}))
    made = setting.load()
    return setting, made, normalised(made), made["labels"].clone(), PlainCnn()


def clients(line):
    app = ClientApp()

    @app.train()
    def train(message, context):
        from peer_flower import client_data
        from work import lean_epoch, rows

        setting, made, inputs, labels, model = client_data(line)
        arrays = message.content["arrays"]
        metrics = {"num-examples": setting.work.samples}
        if not setting.empty:
            model.load_state_dict(arrays.to_torch_state_dict())
            order = rows(
                made,
                int(context.node_config["partition-id"]),
                message.content["config"]["server-round"],
            )
            metrics["loss"] = float(lean_epoch(model, setting.work, inputs, labels, order))
            arrays = ArrayRecord(model.state_dict())
        content = RecordDict({"arrays": arrays, "metrics": MetricRecord(metrics)})
        return Message(content=content, reply_to=message)

    return app


def server(setting, gate):
    app = ServerApp()

    @app.main()
    def main(grid, context):
        found = {"loss": None}

        def losses(records, weighted_by):
            given = [record["metrics"]["loss"] for record in records if "loss" in record["metrics"]]
            found["loss"] = sum(given) / len(given) if given else None
            return MetricRecord({})

        def wait(round, arrays):
            if round:
                gate.done(found["loss"])
            if not gate.opens() and round < setting.rounds:
                raise EOFError("no more rounds are wanted")

        strategy = FedAvg(
            fraction_train=1.0,
            fraction_evaluate=0.0,
            min_train_nodes=setting.work.clients,
            min_available_nodes=setting.work.clients,
            train_metrics_aggr_fn=losses,
        )
        strategy.start(
            grid, ArrayRecord(setting.load()["start"]), num_rounds=setting.rounds, evaluate_fn=wait
        )

    return app


def main():
    from gate import Gate
    from work import WorkItem

    setting = WorkItem.from_command_line()
    run_simulation(
        server_app=server(setting, Gate()),
        client_app=clients(sys.argv[1]),
        num_supernodes=setting.work.clients,
        backend_config={
            "client_resources": {"num_cpus": 1, "num_gpus": 0.0},
            "init_args": {
                "num_cpus": setting.threads,
                "include_dashboard": False,
                "log_to_driver": False,
            },
        },
    )


if __name__ == "__main__":
    main()
