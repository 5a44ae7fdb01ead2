"""The lines of one generated function: what is chosen first, then what is done with it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from agentkit.jsonvalue import as_json
from agentkit.promote.computed import Change, DateForm, Match
from agentkit.promote.expressions import Best, Const, Expr, Names, Pick, Root, of_element, singular, walk
from agentkit.promote.find import place_of_tool
from agentkit.promote.plan import Agreed, Condition, Counted, Formed, Guard, NotEmpty, OneOf, PlannedStep, Wanted
from agentkit.promote.search import Source
from agentkit.promote.ways import ByComparison, ByLimit, ByValue, Split
from agentkit.promote.writing import literal, raw

if TYPE_CHECKING:
    from agentkit.promote.code import Writer


class Body:
    """The lines of one function: what is chosen first, then what is done with it."""

    def __init__(self, writer: "Writer", step: PlannedStep | None, joined: Mapping[Expr, str] | None = None) -> None:
        self._w = writer
        self._step = step
        self._given: dict[Expr, str] = dict(joined or {})
        self.used: set[str] = set()
        self._lines: list[str] = []
        self._taken = set(writer.types) | writer.imports.called | {"ctx", "pair"}

    def call(self, step: PlannedStep) -> list[str]:
        """What a step that calls a tool does."""
        w = self._w
        self._lines += self.guards(step.guards)
        settled = {
            name: replace(source, survivors=source.survivors[:1]) if name in step.settled else source
            for name, source in step.arguments.items()
        }
        values = self.arguments(settled, step.edited)
        tool = place_of_tool(w.agent.tools[step.tool], step.tool)
        called = w.imports.thing(tool.value, tool.module, tool.name)
        ordered = ", ".join(f"{name}={values[name]}" for name in step.arguments)
        made = f"ctx.call({called}{', ' if ordered else ''}{ordered})"
        if not step.echoes:
            return [*self._lines, f"return {made}"]
        found = self._free("found")
        checks = [
            f"ak.guard({Names({Root(step.name): found}).of(echo)} == {values[name]}, "
            f"{literal(f'{step.tool} gave another {name}')})"
            for name, echo in step.echoes.items()
        ]
        return [*self._lines, f"{found} = {made}", *checks, f"return {found}"]

    def of_way(self) -> "Body":
        """The body of one way of a function with several: with lines of its own."""
        body = Body(self._w, None)
        body.used = self.used
        return body

    def guards(self, guards: Sequence[Condition]) -> list[str]:
        """The lines of guards."""
        return [line for guard in guards for line in self._condition(guard)]

    def split(self, split: Split, ways: set[str]) -> str | None:
        """What says which way, as an expression; what no run showed is guarded before. None where it only guards."""
        match split:
            case ByValue(subject, pairs):
                known = {literal(_plain(value)): literal(way) for value, way in pairs if way in ways}
                kinds = dict.fromkeys("None" if value is None else type(_plain(value)).__name__ for value, _ in pairs)
                name, listed = self._free("ways"), ", ".join(f"{value}: {way}" for value, way in known.items())
                self._lines.append(f"{name}: dict[{' | '.join(kinds)}, Way] = {{{listed}}}")
                return f"{name}[{self.code(subject)}]"
            case ByLimit(subject, low, high, below, above):
                code = self.code(subject)
                if low + 1 != high or not isinstance(low, int):
                    self._lines.append(f'ak.guard(not {low} < {code} < {high}, "no run was between {low} and {high}")')
                return self._either(f"{code} <= {low}", below, above, ways)
            case ByComparison(left, sign, right, true, false):
                return self._either(f"{self.code(left)} {sign} {self.code(right)}", true, false, ways)

    def _either(self, test: str, true: str, false: str, ways: set[str]) -> str | None:
        if true in ways and false in ways:
            return f"{literal(true)} if {test} else {literal(false)}"
        needed = test if true in ways else f"not ({test})"
        self._lines.append(f"ak.guard({needed}, {literal('the runs went another way')})")
        return None

    def opening(self) -> list[str]:
        """What was chosen so far."""
        return self._lines

    def arguments(self, sources: Mapping[str, Source], edited: Mapping[str, Any]) -> dict[str, str]:
        """The code of each value; what it chooses out of lists is chosen before, once."""
        for source in sources.values():
            for survivor in source.survivors:
                if survivor not in self._w.shared:
                    self._choose(survivor)
        return {name: self._one(name, source, edited.get(name)) for name, source in sources.items()}

    def ask(self, step: PlannedStep) -> list[str]:
        """What a step that asks a model does."""
        w = self._w
        options: dict[str, str] = {}
        for name, source in step.arguments.items():
            if source.grade == "choice":
                options[name] = self._free(f"{name}_options")
                self._lines.append(f"# nothing in {source.runs} runs says which {name}: a model chooses")
                self._lines.append(f"{options[name]} = {self.code(source.survivors[0])}")
        shown = [name for name in w.order() if self._may_see(name, step)]
        self.used |= set(shown)
        entries = [f'"give": {literal(w.wanted(step))}', *(f"{literal(name)}: {name}" for name in shown)]
        if step.over is not None:
            entries.append(f"{literal(step.element)}: {step.element}")
            entries += [f"{literal(called)}: {called}" for called in self._given.values()]
        entries += [f"{literal(called)}: {called}" for called in options.values()]
        kind = w.imports.type(w.kind(step))
        output = "" if kind == "str" else f", output={kind}"
        asked = f"ctx.ask({{{', '.join(entries)}}}{output}, instructions={w.instructions()})"
        if not options:
            return [*self._lines, f"return {asked}"]
        self._lines.append(f"answer = {asked}")
        for name, called in options.items():
            chosen = "answer" if len(step.arguments) == 1 else f"answer.{name}"
            several = step.arguments[name].several
            test = f"all(one in {called} for one in {chosen})" if several else f"{chosen} in {called}"
            self._lines.append(f'ak.guard({test}, "{name} is none of those there are")')
        return [*self._lines, "return answer"]

    def needs(
        self, step: PlannedStep | None, *, without: set[str] | None = None, also: Sequence[str] = ()
    ) -> list[tuple[str, str]]:
        """The parameters with their types: what is used, and what has to be done before."""
        names = {*self.used, *also, *(step.after if step is not None else ())} - (without or set())
        return [(name, self._w.imports.type(self._w.types[name])) for name in self._w.order() if name in names]

    # one value -------------------------------------------------------------------------------------------------------

    def _one(self, name: str, source: Source, edited: Any) -> str:
        codes = [self.code(survivor, name) for survivor in source.survivors]
        first = source.survivors[0]
        if isinstance(first, Const) and first.constant is not None and not isinstance(first.constant, bool):
            codes[0] = self._w.constant(name, source)
        codes = list(dict.fromkeys(codes))
        if edited:
            self._lines.append(
                f"# a person changed {name} in {edited} of {source.runs} runs: a person approves it here too"
            )
        if len(codes) == 1:
            return codes[0]
        agreed = f"ak.agree({', '.join(codes)})"
        if source.grade == "certain":
            if (check := self._capitals(name, source)) is None:
                return agreed
            self._lines.append(check)
            return codes[0]
        self._lines.append(f"# {name}: {_why(source)}")
        variable = self._free(name)
        self._lines.append(f"{variable} = {agreed}")
        return variable

    def _capitals(self, name: str, source: Source) -> str | None:
        """The check of a value whose explanations differ in capitals alone, which no run had to change."""
        *plain, changed = source.survivors
        if len(plain) != 1 or not isinstance(changed, Change) or changed.base != plain[0]:
            return None
        if changed.how not in {"lower", "upper"}:
            return None
        odd = "capitals" if changed.how == "lower" else "small letters"
        said = f"no run had {odd} in {name}: whether they stay it does not say"
        return f"ak.guard({self.code(plain[0], name)} == {self.code(changed, name)}, {literal(said)})"

    def code(self, expression: Expr, wanted: str = "found") -> str:
        """An expression's Python, with what it needs noted."""
        w = self._w
        if expression in w.shared:
            self.used.add(w.shared[expression])
            return w.shared[expression]
        for node in walk(expression):
            if isinstance(node, Match) and isinstance(node.base, Root):
                self._given[node] = w.match(node, _snake(wanted))
                self.used.add(self._given[node])
            elif isinstance(node, Match):
                w.imports.plain.add("re")
            elif (isinstance(node, DateForm) and node.read is not None) or (isinstance(node, Best) and node.times):
                w.imports.typing.add("datetime")
        self._need(expression)
        return Names(self._given, says=True).of(expression)

    def _need(self, expression: Expr) -> None:
        """Note the names that it is written with."""
        if expression in self._given:
            return
        if isinstance(expression, Root):
            self.used.add(expression.name)
        for part in expression.parts():
            self._need(part)

    def _choose(self, expression: Expr) -> None:
        """Give what is chosen out of a list a name; an amount that becomes cents has to be one of whole cents."""
        for node in walk(expression):
            if isinstance(node, Change) and node.how == "cents" and not of_element(node):
                amount = self.code(node.base)
                check = f"ak.guard(round({amount}, 2) == {amount}, {literal(f'{amount} is no amount of whole cents')})"
                self._lines += [check] if check not in self._lines else []
            if isinstance(node, Pick | Best) and node not in self._given:
                code = self.code(node)
                name = self._free(singular(node.base))
                if isinstance(node, Best):
                    limit, names = self._free(f"{node.which}_{_snake(node.path[-1])}"), Names(self._given, says=True)
                    self._lines.append(f"{limit} = {node.limit(names)}")
                    code = node.beyond(limit, names)
                self._lines.append(f"{name} = {code}")
                self._given[node] = name

    def _free(self, name: str) -> str:
        found, number = name, 2
        while found in self._taken:
            found, number = f"{name}_{number}", number + 1
        self._taken.add(found)
        return found

    def _condition(self, condition: Condition) -> list[str]:
        match condition:
            case Guard():
                return [self._guard(condition)]
            case Formed(subject, pattern, runs):
                code = self.code(subject)
                self._w.imports.plain.add("re")
                said = literal(f"{code} has another form than in all {runs} runs")
                return [f"ak.guard(re.fullmatch({raw(pattern)}, {code}), {said})"]
            case Wanted(step, text):
                self.used.add(step)
                return [f"ak.guard({step}, {literal(f'the {text} does not clearly ask for this')})"]
            case OneOf(subject, values):
                code, listed, name = self.code(subject), ", ".join(map(literal, values)), subject.name
                return [f"ak.guard({code} in ({listed}), {literal(f'no run had this {name}')}, {_snake(name)}={code})"]
            case NotEmpty(subject):
                code = self.code(subject)
                return [f"ak.guard({code}, {literal(f'{code} is empty, as in no run')})"]
            case Counted(subject, items):
                number, listed = self.code(subject), self.code(items)
                return [f"ak.guard({number} == len({listed}), {literal(f'{number} is not how many there are')})"]
            case Agreed(tool, argument, source):
                if (check := self._capitals(argument, source)) is not None:
                    return [check]
                codes = dict.fromkeys(self.code(one, argument) for one in source.survivors)
                said = f"# {argument} of {tool}, before anything is written: {_why(source)}"
                return [said, f"ak.agree({', '.join(codes)})"]

    def _guard(self, guard: Guard) -> str:
        subject = self.code(guard.subject)
        value: Any = guard.value
        if isinstance(value, tuple):
            low, high = cast("tuple[Any, Any]", value)
            said = f"{subject} is not from {low} to {high}, as it was in all {guard.runs} runs"
            return f"ak.guard({low} <= {subject} <= {high}, {literal(said)})"
        value = literal(guard.value)
        test = (
            f"{subject} is {value}" if guard.value is None or isinstance(guard.value, bool) else f"{subject} == {value}"
        )
        said = f"{subject} is not {value}, as it was in all {guard.runs} runs"
        return f"ak.guard({test}, {literal(said)})"

    def _may_see(self, name: str, step: PlannedStep) -> bool:
        plan = self._w.plan
        if name in plan.inputs:
            return True
        names = [one.name for one in plan.steps]
        if name not in names or name in step.joined:
            return False
        return names.index(name) < names.index(step.name)


def _why(source: Source) -> str:
    if source.different == 1:
        return f"the same in all {source.runs} runs, and so was each of these"
    if source.different < 3:
        return f"{source.runs} runs with {source.different} different values tell these apart no further"
    return f"{source.runs} runs do not tell these apart"


def step_nodes(step: PlannedStep) -> set[Expr]:
    """Every expression that a step's arguments are made of."""
    return {node for source in step.arguments.values() for one in source.survivors for node in walk(one)}


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    return as_json(value, "it")


def _snake(name: str) -> str:
    return re.sub(r"\W", "_", name) or "found"
