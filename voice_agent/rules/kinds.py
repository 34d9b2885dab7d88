"""The nine tool rules as data: what an agent's `tool_rules` hold, read by their `type`."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

MOST_RULES = MOST_NAMES = 200
Names = Annotated[tuple[str, ...], Field(min_length=1, max_length=MOST_NAMES)]


class _Rule(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    type: str
    tool: str

    def model_post_init(self, _: Any) -> None:
        # Documents are stored without defaults, and a rule is read by its type.
        self.model_fields_set.add("type")

    @property
    def name(self) -> str:
        """How messages call the rule."""
        return f"{self.type} {self.tool}"


class RunFirst(_Rule):
    """Before any other call only this tool, or another with such a rule. `args` override the model's."""

    type: Literal["run_first"] = "run_first"
    args: dict[str, Any] = {}


class Children(_Rule):
    """After this tool only its children. `args` (by child) override the model's."""

    type: Literal["children"] = "children"
    children: Names
    args: dict[str, dict[str, Any]] = {}


class Parent(_Rule):
    """The children only right after this tool, or after another that is their parent too; and then only they."""

    type: Literal["parent"] = "parent"
    children: Names


class Conditional(_Rule):
    """The tool's output picks the next tool: by `mapping`, else `default`, else any is allowed.

    Outputs and keys are compared as truth values, whole numbers, numbers, or text, whichever they read as first. With
    `require_mapping` an output that is no key is a fault of the rules.
    """

    type: Literal["conditional"] = "conditional"
    mapping: dict[str, str] = Field(min_length=1, max_length=MOST_NAMES)
    default: str | None = None
    require_mapping: bool = False


class Exit(_Rule):
    """Calling it, with success, ends the turn."""

    type: Literal["exit"] = "exit"


class Continue(_Rule):
    """Calling it goes on, whatever the tool itself says of exits."""

    type: Literal["continue"] = "continue"


class RequiredBeforeExit(_Rule):
    """The turn can't end until it was called with success, but for want of steps."""

    type: Literal["required_before_exit"] = "required_before_exit"


class RequiresApproval(_Rule):
    """A person decides on each call before it runs."""

    type: Literal["requires_approval"] = "requires_approval"


class MaxCount(_Rule):
    """Refused after so many calls in the turn. A call counts when it runs, once, whatever comes of it."""

    type: Literal["max_count"] = "max_count"
    count: int = Field(ge=1)


ToolRule = Annotated[
    RunFirst | Children | Parent | Conditional | Exit | Continue | RequiredBeforeExit | RequiresApproval | MaxCount,
    Field(discriminator="type"),
]
ToolRules = Annotated[tuple[ToolRule, ...], Field(max_length=MOST_RULES)]
