"""A plan as a module that a person would have written."""

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_origin

from agentkit.definition import AgentDefinition
from agentkit.promote.code_body import Body, step_nodes
from agentkit.promote.computed import Each, Match
from agentkit.promote.expressions import Const, Expr, Field, Names, Root, plural, roots, singular, walk
from agentkit.promote.find import place_of_agent, place_of_tool
from agentkit.promote.plan import Plan, PlannedStep, Wanted
from agentkit.promote.search import Source
from agentkit.promote.shared import shared_values
from agentkit.promote.typing_names import Imports, element_type, input_type, type_of
from agentkit.promote.writing import first_sentence, literal

_OWN_NAMES = ("way", "result", "pipeline")


@dataclass
class Module:
    """Generated code.

    Args:
        source: the text, not yet formatted.
        bare: what it uses by names that it does not import: the objects of a notebook.
        names: the pipeline's steps' functions, by the steps' names.
    """

    source: str
    bare: dict[str, Any] = field(default_factory=dict[str, Any])


def write_module(plan: Plan, agent: AgentDefinition, owner: Any, *, name: str, heading: str) -> Module:
    """Write a plan as a module.

    Args:
        plan: what to write.
        agent: whose runs it is made of.
        owner: the agent itself: what takes over.
        name: the pipeline's.
        heading: the module's docstring.
    """
    return Writer(plan, agent, owner, name).module(heading)


class Writer:
    """Writes one plan.

    Args:
        plan: what to write.
        agent: whose runs it is made of.
        owner: the agent itself.
        name: the pipeline's.
    """

    def __init__(self, plan: Plan, agent: AgentDefinition, owner: Any, name: str) -> None:
        self.plan = plan
        self.agent = agent
        self._name = name
        self.imports = Imports(
            {*plan.inputs, *(one.name for one in plan.steps), *(one.step for one in plan.wanted), *_OWN_NAMES}
        )
        self._name_modules(owner)
        self._constants: dict[str, tuple[str, str]] = {}  # name → (code, comment)
        self._classes: list[str] = []
        self.types: dict[str, Any] = {}
        self._owner = place_of_agent(owner)
        self._lists: dict[tuple[Expr, Any], str] = {}
        self._zipped: dict[tuple[str, ...], str] = {}
        self._matches: dict[Match, str] = {}
        self.shared: dict[Expr, str] = {}
        self._to_share = shared_values(plan)
        self._written: set[str] = set()
        self._class_names: set[str] = set()
        envs = plan.envs
        for given in plan.inputs:
            self.types[given] = input_type([env.get(given) for env in envs])
        for step in plan.steps:
            if step.asks:
                kind = self.kind(step)
                written = self.imports.type(kind)
                self.types[step.name] = f"list[{written}]" if step.over is not None else kind
                continue
            returned = getattr(agent.tools[step.tool], "return_type", Any)
            self.types[step.name] = list[returned] if step.over is not None else returned

    def _name_modules(self, owner: Any) -> None:
        """Name the modules of the tools and the agent first: what a function calls its own must not be one of them."""
        tools = [place_of_tool(self.agent.tools[step.tool], step.tool) for step in self.plan.steps if step.tool]
        for place in [*tools, place_of_agent(owner)]:
            if place.module is not None and place.module != "__main__":
                self.imports.module(place.module)

    def module(self, heading: str) -> Module:
        """The whole text, under this docstring."""
        functions = [self._wanted(one) for one in self.plan.wanted]
        for step in self.plan.steps:
            if step.way is not None and "way" not in self.types:
                way = self._way()
                functions += [*self._patterns(), way]
            functions += self._step(step)
        if self.plan.ways and "way" not in self.types:
            way = self._way()
            functions += [*self._patterns(), way]
        end = self._end()
        if end == "result":
            functions += self._output()
        pipeline = self._pipeline(end)
        constants = [
            f"{name} = {code}  # {comment}" if comment else f"{name} = {code}"
            for name, (code, comment) in self._constants.items()
        ]
        blocks = [
            f'"""{heading}"""',
            "\n".join(self.imports.lines()),
            *(["\n".join(constants)] if constants else []),
            *self._classes,
            pipeline,
            *functions,
        ]
        text = "\n\n".join(blocks[:2]) + "\n\n" + "\n\n\n".join(blocks[2:]) + "\n"
        return Module(text, dict(self.imports.bare))

    def _end(self) -> str:
        """The step whose result is the output: one of the plan's that gives all of it, or one that puts it together."""
        fields, kind = self.plan.outputs.get("", {}), self.agent.output.type
        survivors = [source.survivors[0] for source in fields.values() if len(source.survivors) == 1]
        named = {one.name for one in survivors for one in walk(one) if isinstance(one, Root)}
        if self.plan.guards or self.plan.ways or len(survivors) < len(fields) or len(named) != 1:
            return "result"
        end = named.pop()
        step = next((one for one in self.plan.steps if one.name == end), None)
        if step is None or step.over is not None or self.types[end] is not kind:
            return "result"
        parts = {name: Field(Root(end), name, by_key=False) for name in getattr(kind, "model_fields", ())} or {
            "": Root(end)
        }
        return end if dict(zip(fields, survivors, strict=True)) == parts else "result"

    def _pipeline(self, end: str) -> str:
        given = ", ".join(f"{literal(name)}: {self._input(name)}" for name in self.plan.inputs)
        options = [literal(self._name), f"input={{{given}}}", f"output={literal(end)}"]
        owner = self._owner
        called = self.imports.thing(owner.value, owner.module, owner.name)
        if self.plan.wanted or any(step.asks for step in self.plan.steps):
            options.append(f"model={called}.definition.models[0]")
            if len(self.agent.models) > 1:
                options.append(f"fallback={called}.definition.models[1:]")
        options.append(f"deopt={called}")
        return "pipeline = ak.Pipeline(\n    " + ",\n    ".join(options) + ",\n)"

    def _input(self, name: str) -> str:
        written = self.imports.type(self.types[name])
        missing = any(env.get(name) is None for env in self.plan.envs)
        return f"({written}, None)" if missing else written

    def _wanted(self, wanted: Wanted) -> str:
        """The step that has a model say whether a text asks for what the runs did."""
        self.types[wanted.step] = bool
        tools = (self.agent.tools[step.tool] for step in self.plan.steps if step.writes)
        said = self.agent.instructions.strip() or " ".join(first_sentence(tool.schema.description) for tool in tools)
        asked = "Say true only where the text asks for what is done by these instructions, and for nothing else:"
        self._constants["WANTED"] = (_long_text(f"{asked}\n{said}\n"), "")
        kind, pieces = self.imports.type(self.types[wanted.text]), " and ".join(wanted.pieces)
        return (
            f"@pipeline.step\ndef {wanted.step}({wanted.text}: {kind}, ctx: ak.Context) -> bool:\n"
            f'    """Whether the {wanted.text} asks for what the runs did: {pieces} alone does not say that."""\n'
            f'    return ctx.ask({{"text": {wanted.text}}}, output=bool, instructions=WANTED)'
        )

    # a step ----------------------------------------------------------------------------------------------------------

    def _shared(self, step: PlannedStep) -> Iterator[str]:
        """The steps that find a value for this one and for others."""
        for source in step.arguments.values():
            value = source.survivors[0] if len(source.survivors) == 1 else None
            if value is None or value not in self._to_share or value in self.shared:
                continue
            tool, argument = self._to_share[value]
            name = argument if argument not in self.types else self._free(f"{step.name}_{argument}")
            body = Body(self, None)
            written = body.arguments({argument: source}, {})[argument]
            lines = [*body.opening(), f"return {written}"]
            said = f"The {argument}, for {step.name} and what comes after it."
            kind = self.argument_type(tool, argument)
            needs = body.needs(None)
            self.shared[value], self.types[name] = name, kind
            yield from self._patterns()
            yield self._plain(name, needs, lines, kind, said)

    def _step(self, step: PlannedStep) -> Iterator[str]:
        yield from self._shared(step)
        if step.over is not None:
            yield from self._loop(step, step.over)
            return
        body = Body(self, step)
        lines = body.ask(step) if step.asks else body.call(step)
        yield from self._patterns()
        decorator = "@pipeline.step" if step.way is None else f"@pipeline.step(when={_condition(step.way)})"
        yield self._function(step, decorator, body.needs(step), lines, self.types[step.name])

    def _loop(self, step: PlannedStep, over: Each) -> Iterator[str]:
        """A step for the list, where it is none already, and one for its elements."""
        of_element = element_type(type_of(over.base, self.types))
        source = self._lists.get((over.base, over.conditions))
        if source is None and isinstance(over.base, Root) and not over.conditions:
            source = over.base.name
        if source is None:
            body = Body(self, None)
            code = body.code(over)
            if get_origin(type_of(over.base, self.types)) is tuple and not over.conditions:
                code = f"list({code})"
            source = self._free(_list_name(over))
            needs = body.needs(None)
            self.types[source] = list[of_element]
            yield from self._patterns()
            yield self._plain(source, needs, [f"return {code}"], list[of_element], f"What {step.tool} is called for.")
        self._lists[over.base, over.conditions] = source
        element, kind, opening, joined = step.element, of_element, list[str](), dict[Expr, str]()
        if used := [name for name in step.joined if Root(f"{name}[]") in step_nodes(step) or step.asks]:
            pairs = self._pairs(source, used)
            if pairs not in self.types:
                kinds = [of_element, *(element_type(self.types[name]) for name in used)]
                kind = f"tuple[{', '.join(self.imports.type(one) for one in kinds)}]"
                self.types[pairs] = f"list[{kind}]"
                zipped = ", ".join([source, *used])
                given = [(name, self.imports.type(self.types[name])) for name in (source, *used)]
                lines = [f"return list(zip({zipped}, strict=True))"]
                yield self._plain(
                    pairs, given, lines, self.types[pairs], f"Each with what is known of it from {', '.join(used)}."
                )
            kind = str(self.types[pairs]).removeprefix("list[").removesuffix("]")
            joined = dict[Expr, str]((Root(f"{name}[]"), _joined_name(name)) for name in used)
            opening = [f"{', '.join([element, *joined.values()])} = pair"]
            source, element = pairs, "pair"
        body = Body(self, step, joined=joined)
        lines = [*opening, *(body.ask(step) if step.asks else body.call(step))]
        yield from self._patterns()
        options = [f"each=({literal(element)}, {literal(source)})"]
        if step.writes:
            options.append("concurrency=1")
        if step.way is not None:
            options.append(f"when={_condition(step.way)}")
        needs = [(element, self.imports.type(kind)), *body.needs(step, without={step.element, element})]
        returned = element_type(self.types[step.name]) if not step.asks else self.kind(step)
        yield self._function(step, f"@pipeline.step({', '.join(options)})", needs, lines, returned)

    def _pairs(self, source: str, used: Sequence[str]) -> str:
        return self._zipped.setdefault((source, *used), self._free(f"{source}_with_{used[-1]}"))

    def _patterns(self) -> Iterator[str]:
        """The steps that find something in a text, each once."""
        for match, name in self._matches.items():
            if name not in self._written:
                self._written.add(name)
                text = roots(match).pop()
                lines = [f"return {match.code(Names())}"]
                needs = [(text, self.imports.type(self.types[text]))]
                yield self._plain(name, needs, lines, str, f"The {name} in the {text}.")

    def match(self, match: Match, wanted: str) -> str:
        """The step that finds something in a text."""
        if match not in self._matches:
            self.imports.plain.add("re")
            self._matches[match] = self._free(wanted)
            self.types = {self._matches[match]: str, **self.types}
        return self._matches[match]

    def _function(
        self, step: PlannedStep, decorator: str, needs: Sequence[tuple[str, str]], lines: Sequence[str], returned: Any
    ) -> str:
        given = ", ".join([*(f"{name}: {kind}" for name, kind in needs), "ctx: ak.Context"])
        if step.asks:
            says = f"What a model makes of it: {', '.join(name or 'the answer' for name in step.arguments)}."
        else:
            says = first_sentence(self.agent.tools[step.tool].schema.description) or f"Call {step.tool}."
        body = "\n".join(f"    {line}" if line else "" for line in lines)
        return f'{decorator}\ndef {step.name}({given}) -> {self.imports.type(returned)}:\n    """{says}"""\n{body}'

    def _plain(
        self, name: str, needs: Sequence[tuple[str, str]], lines: Sequence[str], returned: Any, says: str
    ) -> str:
        given = ", ".join(f"{one}: {kind}" for one, kind in needs)
        body = "\n".join(f"    {line}" for line in lines)
        return f'@pipeline.step\ndef {name}({given}) -> {self.imports.type(returned)}:\n    """{says}"""\n{body}'

    # what a model gives ----------------------------------------------------------------------------------------------

    def kind(self, step: PlannedStep) -> Any:
        """The type of what a model is asked for: a value's, or a class of several."""
        if len(step.arguments) == 1:
            return self.argument_type(step.tool, next(iter(step.arguments)))
        name = "".join(part.capitalize() for part in step.name.split("_"))
        if name not in self._class_names:
            self._class_names.add(name)
            self.imports.models = True
            fields = "\n".join(self._field(step.tool, one) for one in step.arguments)
            self._classes.append(
                f'class {name}(BaseModel):\n    """What a model gives for {step.tool or "the answer"}."""\n\n{fields}'
            )
        return name

    def _field(self, tool: str, name: str) -> str:
        says = self.described(tool, name)
        given = f" = Field(description={literal(says)})" if says else ""
        self.imports.fields |= bool(says)
        return f"    {name}: {self.imports.type(self.argument_type(tool, name))}{given}"

    def argument_type(self, tool: str, name: str) -> Any:
        """The type of a tool's argument, or of a part of the agent's output."""
        if tool:
            return _parameter_type(self.agent, tool, name)
        output: Any = self.agent.output.type
        return output if name == "" else type_of(Field(Root(""), name, by_key=False), {"": output})

    def described(self, tool: str, name: str) -> str:
        """What is wanted, in the words of the tool's own description, or of the output's."""
        said = self.agent.output.schema
        output = said.json_schema if said is not None else {}
        shape: Mapping[str, Any] = self.agent.tools[tool].schema.parameters if tool else output
        return shape.get("properties", {}).get(name, {}).get("description", "")

    def wanted(self, step: PlannedStep) -> str:
        """What a model is asked for, in a few words."""
        names = list(step.arguments)
        if names == [""]:
            done = any(one.writes for one in self.plan.steps[: self.plan.steps.index(step)])
            return f"the answer to the user{': what is shown here was done' if done else ''}"
        said = f": {says}" if len(names) == 1 and (says := self.described(step.tool, names[0])) else ""
        listed = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
        return f"{listed}{f' for {step.tool}' if step.tool else ', a part of the answer to the user'}{said}"

    # the output ------------------------------------------------------------------------------------------------------

    def _output(self) -> Iterator[str]:
        ways = list(self.plan.outputs)
        lines: list[str] = []
        body = Body(self, None)
        for way in ways:
            here, last = body.of_way(), way == ways[-1]
            if way == ways[0] and not self.plan.ways:
                lines += here.guards(self.plan.guards)
            written = self._returned(here, self.plan.outputs[way], way)
            lines += written if last else [f"if way == {literal(way)}:", *(f"    {line}" for line in written)]
        last = [step.name for step in self.plan.steps if step.writes and step.way is None][-1:]
        if self.plan.ways:
            last.append("way")
        yield from self._patterns()
        needs = [(name, self._maybe(name, kind)) for name, kind in body.needs(None, also=last)]
        yield self._plain("result", needs, lines, self.agent.output.type, "What a run ends with.")

    def _returned(self, body: "Body", fields: Mapping[str, Source], way: str) -> list[str]:
        kind = self.imports.type(self.agent.output.type)
        if list(fields) == [""]:
            values = body.arguments({"answer": fields[""]}, {})
            end = f"return {values['answer']}"
        else:
            values = body.arguments(dict(fields), {})
            end = f"return {kind}({', '.join(f'{name}={code}' for name, code in values.items())})"
        there = [step.name for step in self.plan.steps if way and step.way == way and step.name in body.used]
        return [*(f"assert {name} is not None" for name in there if self.types[name] is not Any), *body.opening(), end]

    def _maybe(self, name: str, kind: str) -> str:
        """The type of a step's result that is None where the run goes another way."""
        goes = any(step.name == name and step.way is not None for step in self.plan.steps)
        return f"{kind} | None" if goes and kind != "Any" else kind

    def _way(self) -> str:
        """The step that says which way a run goes."""
        plan = self.plan
        self.imports.typing.add("Literal")
        kind = f"Literal[{', '.join(literal(way) for way in plan.ways)}]"
        body = Body(self, None)
        guards = body.guards(plan.guards)
        codes = [body.split(split, set(plan.ways)) for split in plan.splits]
        codes = [code for code in codes if code]
        counts = ", ".join(f"{way} {count} times" for way, count in plan.ways.items())
        value = codes[0] if len(codes) == 1 else f"ak.agree({', '.join(codes)})"
        needs = body.needs(None)
        self._constants["Way"] = (kind, "")
        self.types["way"] = "Way"
        lines = [*guards, *body.opening(), f"return {value}"]
        way = self._plain("way", needs, lines, "Way", f"Which way it goes, as far as the runs showed: {counts}.")
        gone = dict.fromkeys(step.way for step in plan.steps if step.way is not None)
        return "\n\n\n".join([way, *(_goes(one) for one in gone)])

    # names -----------------------------------------------------------------------------------------------------------

    def _free(self, name: str) -> str:
        name = re.sub(r"\W", "_", name)
        while name in self.types or name in {"ctx", "result", "pipeline"}:
            name += "_"
        return name

    def order(self) -> list[str]:
        """Every name, in the order in which they are known."""
        return list(self.types)

    def constant(self, argument: str, source: Source) -> str:
        """A named constant for what never varied."""
        found = source.survivors[0]
        assert isinstance(found, Const), "only a constant has a name of its own"
        code = literal(found.constant)
        name = re.sub(r"\W", "_", argument).upper()
        while name in self._constants and self._constants[name][0] != code:
            name += "_"
        runs = "in the one run there is" if source.runs == 1 else f"in all {source.runs} runs"
        self._constants[name] = (code, f"the same {runs}")
        return name

    def instructions(self) -> str:
        """The agent's instructions, as a constant."""
        self._constants["INSTRUCTIONS"] = (_long_text(self.agent.instructions), "")
        return "INSTRUCTIONS"


# small things ---------------------------------------------------------------------------------------------------------


def _joined_name(step: str) -> str:
    return f"{singular(Root(step))}_found" if singular(Root(step)) == step else singular(Root(step))


def _list_name(over: Each) -> str:
    """What a list is called of which each element is worked on: the low stock, the chosen lines."""
    base = plural(over.base)
    if not over.conditions:
        return base
    wanted = over.conditions[0].equals
    if len(over.conditions) == 1 and isinstance(wanted, Const):
        if wanted.constant is True:
            return f"{over.conditions[0].path[-1]}_{base}"
        if isinstance(wanted.constant, str) and re.fullmatch(r"[A-Za-z]\w{0,20}", wanted.constant):
            return f"{wanted.constant.lower()}_{base}"
    return f"chosen_{base}"


def _condition(way: str) -> str:
    return re.sub(r"\W", "_", f"is_{way}")


def _goes(way: str) -> str:
    """The condition of the steps of one way."""
    return f"def {_condition(way)}(way: Way) -> bool:\n    return way == {literal(way)}"


def _long_text(text: str) -> str:
    if "\n" not in text or '"""' in text or "\\" in text:
        return literal(text)
    return '"""\\\n' + textwrap.dedent(text).replace("\\", "\\\\") + '"""'


def _parameter_type(agent: AgentDefinition, tool: str, name: str) -> Any:
    signature = getattr(agent.tools[tool], "signature", None)
    found = [one.annotation for one in signature.parameters if one.name == name] if signature is not None else []
    return found[0] if found else Any
