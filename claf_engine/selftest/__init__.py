"""Whether this machine is fit to train on, and whether an accelerator computes what its CPU computes, and how fast.

`environment` looks around; `checks.device_steps` computes. Every check is a function of a `Places`, which says where;
the same checks compare a CPU with itself in the tests.
"""
