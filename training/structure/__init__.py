"""The structure of any model: flat vector, channel groups, sub-models and costs."""

from training.structure.build import Form
from training.structure.groups import Group
from training.structure.layout import Layout
from training.structure.structure import CostTable, Structure
from training.structure.submodel import SubModel

__all__ = ["CostTable", "Form", "Group", "Layout", "Structure", "SubModel"]
