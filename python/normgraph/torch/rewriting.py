"""Methods of a module, rewritten from their source so that batch norms take on what follows.

torch.fx would trace a forward pass: conditions, numbers and flags become what they are at that
moment. Here the source is changed, and only where a batch norm and a ReLU stand together; all else
stays Python that runs as it did, with its conditions, loops and arguments.

    out = self.bn2(out)                     out = begin(self.bn2, out)
    if self.downsample is not None:         if self.downsample is not None:
        identity = self.downsample(x)           identity = self.downsample(x)
    out += identity
    out = self.relu(out)                    out = finish_with_residual(
                                                begun=out, activation=self.relu, ...)

A name may hold a batch norm that waits if nothing else reads it: the value before the activation
must be dead after it. What comes in between, in the activation's own statement as well, may not be
able to change the waiting input in place, to reach the batch norm or to leave the block.
"""

from __future__ import annotations

import ast
import copy
import functools
import inspect
import linecache
import operator
import types
from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as torch_functional
from torch import nn

from . import fusion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_RELU_CLASSES = (nn.ReLU, nn.ReLU6, nn.Hardtanh)


def _without_hooks(module: Any) -> Any:
    """The module, that stands for a function: hooks of all modules do not see it."""
    module._compiled_call_impl = module.forward
    return module


_RELU_METHODS = {
    "relu": _without_hooks(nn.ReLU()),
    "relu_": _without_hooks(nn.ReLU(inplace=True)),
}
# Functions, and the class of modules that take the same options and do the same.
_RELU_FUNCTIONS = {
    torch.relu: nn.ReLU,
    torch.relu_: nn.ReLU,
    torch_functional.relu: nn.ReLU,
    torch_functional.relu_: nn.ReLU,
    torch_functional.relu6: nn.ReLU6,
    torch_functional.hardtanh: nn.Hardtanh,
}


#: What a block may be left by before its end. Python 3.10 has no TryStar.
_LEAVING = (
    *(ast.Break, ast.Continue, ast.Return, ast.Raise, ast.Assert),
    *(ast.Try, getattr(ast, "TryStar", ast.Try)),
)
#: What the text of a place consists of: `self.layers[0].bn`.
_OF_A_PLACE = (ast.Name, ast.Attribute, ast.Subscript, ast.Constant, ast.expr_context)


class NotRewritableError(Exception):
    """A method that is left as it is; the message says why."""


@dataclass(frozen=True)
class Roles:
    """What the places of a module hold, of those that its methods call: `self.bn1`, `self.relu`.

    sequentials : those that end in a batch norm, after other modules
    hasty : of both, those that other calls must not overtake: the batch norm has another place as
        well, or its input in the Sequential may be that of the Sequential
    new : what returns a tensor that nobody else has
    passing : what may return its input, and else such a tensor
    children : the names of submodules, and of attributes that are None in their place
    """

    batch_norms: frozenset[str]
    sequentials: frozenset[str]
    activations: frozenset[str]
    hasty: frozenset[str]
    new: frozenset[str]
    passing: frozenset[str]
    children: frozenset[str]


@dataclass(frozen=True)
class Site:
    """A place where a batch norm takes on an activation, as the source writes both."""

    batch_norm: str
    activation: str
    has_residual: bool


@dataclass(frozen=True, eq=False)
class Method:
    """The source of a function that is a module's method."""

    function: types.FunctionType
    tree: ast.FunctionDef

    @functools.cached_property
    def called_places(self) -> dict[str, ast.expr]:
        """The places of the module that are called: `self.bn1`, `self.layers[0]`."""
        calls = (node.func for node in ast.walk(self.tree) if isinstance(node, ast.Call))
        return {ast.unparse(node): node for node in calls if self._is_place(node)}

    @functools.cached_property
    def own_names(self) -> set[str]:
        """The names of `self` that are read, other methods' among them."""
        return {
            node.attr
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == self.own_name
        }

    def _is_place(self, node: Any) -> bool:
        is_indexed = isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant)
        if not (is_indexed or isinstance(node, ast.Attribute)):
            return False
        inner = node.value
        return self._is_place(inner) or (isinstance(inner, ast.Name) and inner.id == self.own_name)

    @property
    def own_name(self) -> str:
        """What the method calls the module: self."""
        return self.function.__code__.co_varnames[0]


@functools.lru_cache(maxsize=1024)
def read_method(function: Any) -> Method:
    """Find the source of a method. Raises NotRewritableError where it is not to be had."""
    if not isinstance(function, types.FunctionType) or hasattr(function, "__wrapped__"):
        raise NotRewritableError("is wrapped by a decorator")
    code = function.__code__
    if code.co_flags & (inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR):
        raise NotRewritableError("is a generator or a coroutine")
    if not code.co_argcount:
        raise NotRewritableError("has no argument self")
    if {"locals", "exec", "eval"} & set(code.co_names):
        raise NotRewritableError("reads its variables by locals(), exec() or eval()")
    try:
        lines, first = inspect.getsourcelines(code)
        # An indented definition keeps its columns, which tracebacks show, under a line of our own.
        is_indented = lines[0][0].isspace()
        tree = ast.parse("if True:\n" * is_indented + "".join(lines))
    except (OSError, TypeError, SyntaxError):
        raise NotRewritableError("has no source that can be read") from None
    ast.increment_lineno(tree, first - 1 - is_indented)
    definition = tree.body[0]
    if isinstance(definition, ast.If):
        definition = definition.body[0]
    if not isinstance(definition, ast.FunctionDef):
        raise NotRewritableError("is not written as a function")
    if not _is_compiled_from("".join(linecache.getlines(code.co_filename)), code):
        raise NotRewritableError("has a source that is no longer what was imported")
    # A decorator that returns another function has been refused, or its code is what was found.
    definition.decorator_list = []
    return Method(function, definition)


def parse_place(text: str) -> ast.expr:
    """The place that a text such as `self.layers[0]` names."""
    return ast.parse(text, mode="eval").body


def resolve(place: ast.expr, module: Any) -> Any:
    """The submodule at a place such as `self.layers[0]`; None where there is none."""
    if isinstance(place, ast.Name):
        return module
    assert isinstance(place, (ast.Attribute, ast.Subscript))
    parent = resolve(place.value, module)
    if not isinstance(parent, nn.Module):
        return None
    if isinstance(place, ast.Attribute):
        return parent._modules.get(place.attr)
    assert isinstance(place.slice, ast.Constant)
    return parent._modules.get(str(place.slice.value))


def rewrite(
    method: Method, roles: Roles, owner: type[nn.Module]
) -> tuple[Callable[..., Any], list[Site]]:
    """The method of `owner` with batch norms that take on their activations, and where they do."""
    rewriter = _Rewriter(method, roles, owner)
    tree = copy.deepcopy(method.tree)
    tree.body = rewriter.rewrite_block(tree.body)
    if not rewriter.sites:
        return method.function, []
    ast.fix_missing_locations(tree)
    original, added = method.function, rewriter.added
    code = _compile(original, tree, tuple(added))
    cells = dict(zip(original.__code__.co_freevars, original.__closure__ or (), strict=True))
    cells |= {name: types.CellType(value) for name, value in added.items()}
    function = types.FunctionType(
        code,
        original.__globals__,
        original.__name__,
        original.__defaults__,
        tuple(cells[name] for name in code.co_freevars),
    )
    function.__kwdefaults__ = original.__kwdefaults__
    for name in functools.WRAPPER_ASSIGNMENTS:
        setattr(function, name, getattr(original, name))
    function.__dict__.update(original.__dict__)
    return function, rewriter.sites


def _compile(
    function: types.FunctionType, tree: ast.FunctionDef, added: Iterable[str]
) -> types.CodeType:
    """The code of the method that the tree defines, with the function's free variables and more.

    It is compiled inside a class, for names such as `__private`, inside a function whose arguments
    are the free variables.
    """
    code = function.__code__
    definition = copy.deepcopy(tree)
    definition.returns = None  # The function has its annotations and defaults already.
    for node in ast.walk(definition.args):
        if isinstance(node, ast.arg):
            node.annotation = None
    owner = function.__qualname__.split(".")[-2:-1] or ["_"]
    class_name = owner[0] if owner[0].isidentifier() else "_"
    module = ast.parse(f"def _outer():\n class {class_name}: pass")
    outer = module.body[0]
    assert isinstance(outer, ast.FunctionDef)
    outer.args.args = [ast.arg(arg=name) for name in (*code.co_freevars, *added)]
    outer.body[0].body = [definition]  # type: ignore[attr-defined]
    ast.fix_missing_locations(module)
    # A function inside of the method has annotations, which its file may leave unevaluated.
    flags = code.co_flags & annotations.compiler_flag  # of the import from __future__
    compiled: types.CodeType = compile(module, code.co_filename, "exec", flags, dont_inherit=True)
    for name in ("_outer", class_name, tree.name):
        compiled = next(
            constant
            for constant in compiled.co_consts
            if isinstance(constant, types.CodeType) and constant.co_name == name
        )
    return compiled


def _is_compiled_from(source: str, code: types.CodeType) -> bool:
    """Whether the code is what the file's source gives, which may have changed since."""
    found = _codes_of(source, code.co_filename).get((code.co_name, code.co_firstlineno))
    return found is not None and all(
        getattr(found, part) == getattr(code, part)
        for part in ("co_code", "co_consts", "co_names", "co_varnames", "co_freevars")
    )


@functools.lru_cache(maxsize=8)
def _codes_of(source: str, file_name: str) -> dict[tuple[str, int], types.CodeType]:
    """Every code object of a file, by its name and its first line."""
    codes = [compile(source, file_name, "exec", dont_inherit=True)]
    for code in codes:
        codes += [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
    return {(code.co_name, code.co_firstlineno): code for code in codes}


def _count_loads(node: ast.AST) -> dict[str, int]:
    """How often each name is read; `name += …` reads it too."""
    loads: dict[str, int] = {}
    for inner in ast.walk(node):
        if isinstance(inner, ast.AugAssign):
            inner = inner.target
        elif not (isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Load)):
            continue
        if isinstance(inner, ast.Name):
            loads[inner.id] = loads.get(inner.id, 0) + 1
    return loads


def _target(statement: ast.stmt) -> str | None:
    """The name that the statement assigns to, if it is one name."""
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
    elif isinstance(statement, (ast.AugAssign, ast.AnnAssign)):
        target = statement.target
    else:
        return None
    return target.id if isinstance(target, ast.Name) else None


def _blocks_of(statement: ast.stmt) -> list[list[ast.stmt]]:
    """The blocks of a compound statement that run from top to bottom, unless they are left."""
    if isinstance(statement, (ast.If, ast.For, ast.While)):
        return [statement.body, statement.orelse]
    if isinstance(statement, ast.With):
        return [statement.body]
    if isinstance(statement, ast.Match):
        return [case.body for case in statement.cases]
    return []  # What follows a failure inside of a `try` may read any name.


def _is_compound(statement: ast.stmt) -> bool:
    return any(isinstance(child, (ast.stmt, ast.match_case)) for child in _children(statement))


def _children(node: ast.AST) -> Iterable[ast.AST]:
    return ast.iter_child_nodes(node)


def _sure_operands(node: ast.AST) -> list[Any]:
    """The expressions that a node evaluates once, in this order, whatever they are."""
    inside = [child for child in _children(node) if isinstance(child, (ast.expr, ast.keyword))]
    if isinstance(node, (ast.Assign, ast.AnnAssign)):
        return [node.value, *(child for child in inside if child is not node.value)]
    if isinstance(node, ast.Dict):  # Keys stand beside their values; `**` has none.
        pairs = zip(node.keys, node.values, strict=True)
        return [child for pair in pairs for child in pair if child is not None]
    if isinstance(node, (ast.IfExp, ast.BoolOp)):
        return inside[:1]
    if isinstance(node, ast.Compare):
        return inside[:2]
    if isinstance(node, (ast.Lambda, ast.Assert)) or hasattr(node, "generators"):
        return []
    return inside


def _evaluated_before(node: ast.AST, statement: ast.stmt) -> list[tuple[ast.AST, ast.AST]] | None:
    """What the statement evaluates before the node, each with what it stands in.

    None where the statement may not evaluate the node, or may do so several times.
    """
    parents = {id(child): parent for parent in ast.walk(statement) for child in _children(parent)}
    before: list[tuple[ast.AST, ast.AST]] = []
    while node is not statement:
        parent = parents[id(node)]
        operands = _sure_operands(parent)
        place = next((i for i, operand in enumerate(operands) if operand is node), None)
        if place is None:
            return None
        before += [(operand, parent) for operand in operands[:place]]
        node = parent
    return before


def _calls_nothing(node: ast.AST) -> bool:
    return all(
        isinstance(inner, (ast.Name, ast.Attribute, ast.Constant, ast.keyword, ast.expr_context))
        for inner in ast.walk(node)
    )


def _root_attribute(place: ast.expr) -> str | None:
    """The attribute of `self` at which a place such as `self.layers[0]` begins."""
    while isinstance(place, (ast.Attribute, ast.Subscript)):
        if isinstance(place, ast.Attribute) and isinstance(place.value, ast.Name):
            return place.attr
        place = place.value
    return None


def _names_in(node: ast.AST) -> set[str]:
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}


def _only_argument(call: ast.Call) -> ast.expr | None:
    if len(call.args) != 1 or call.keywords or isinstance(call.args[0], ast.Starred):
        return None
    return call.args[0]


def _constant_arguments(
    arguments: list[ast.expr], keywords: list[ast.keyword]
) -> tuple[list[Any], dict[str, Any]] | None:
    """The values of arguments that are written as numbers or names of constants, else None."""
    try:
        return (
            [ast.literal_eval(argument) for argument in arguments],
            {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in keywords},
        )
    except (ValueError, TypeError):
        return None


@dataclass
class _Value:
    """What a batch norm computes, perhaps with a residual added, and what fusing it would change.

    begun : the expression of what waits
    may_wait : whether calls that come in between can reach neither the input that waits nor the
        batch norm
    input_name : the name by which they would reach it
    waiting : the statement that assigns the batch norm's output, to hold what waits instead
    dropped : the statement that adds the residual, which the activation's is to do
    """

    batch_norm: str
    begun: ast.expr
    may_wait: bool
    input_name: str | None = None
    waiting: ast.Assign | None = None
    dropped: ast.stmt | None = None
    residual: ast.expr | None = None
    add: Callable[[Any, Any], Any] = operator.add
    residual_is_first: bool = False


@dataclass
class _Pending:
    """A name whose value nothing has read yet, and whether other statements came since."""

    value: _Value
    is_next: bool = True


class _Rewriter(ast.NodeTransformer):
    """Rewrites the statements of one method, block by block.

    `_pending` holds the names of the block that have a batch norm's output, or its sum with a
    residual; `_fresh` those that hold what a call has returned, and no other name does.
    """

    def __init__(self, method: Method, roles: Roles, owner: type[nn.Module]) -> None:
        self.sites: list[Site] = []
        self.added: dict[str, Any] = {}
        self._roles = roles
        self._owner = owner
        self._own_name = method.own_name
        self._globals = method.function.__globals__
        code = method.function.__code__
        self._plain_locals = frozenset(code.co_varnames) - frozenset(code.co_cellvars)
        self._not_global = frozenset(code.co_varnames + code.co_cellvars + code.co_freevars)
        self._loads = _count_loads(method.tree)
        self._statement: ast.stmt = method.tree
        self._pending: dict[str, _Pending] = {}
        self._fresh: set[str] = set()

    def rewrite_block(self, statements: list[ast.stmt]) -> list[ast.stmt]:
        """The statements of a block that begins with no name pending."""
        outer = self._pending, self._fresh
        self._pending, self._fresh = {}, set()
        results: list[ast.stmt] = []
        for statement in statements:
            self._dropped: ast.stmt | None = None
            if _is_compound(statement):
                self._pass_by(statement)
                for block in _blocks_of(statement):
                    block[:] = self.rewrite_block(block)
            else:
                self._rewrite_simple(statement)
            if self._dropped is not None:
                results = [result for result in results if result is not self._dropped]
            results.append(statement)
        self._pending, self._fresh = outer
        return results

    def _rewrite_simple(self, statement: ast.stmt) -> None:
        self._statement = statement
        self.visit(statement)
        target, value = _target(statement), None
        if isinstance(statement, ast.Assign):
            value = self._value_of(statement.value)
        elif isinstance(statement, ast.AugAssign) and isinstance(statement.op, ast.Add):
            left = ast.Name(id=target or "", ctx=ast.Load())
            value = self._value_of_sum(left, statement.value, operator.iadd)
        is_new = isinstance(statement, ast.Assign) and self._is_new(statement.value)
        self._pass_by(statement)
        if target is None or target not in self._plain_locals:
            return
        if is_new:
            self._fresh.add(target)
        if value is None:
            return
        if value.residual is not None:
            value.dropped = statement
        elif isinstance(statement, ast.Assign):
            value.waiting = statement
            if value.input_name == target:  # which is now another value's
                value.input_name = None
            value.begun = ast.Name(id=target, ctx=ast.Load())
        self._pending[target] = _Pending(value)

    def _pass_by(self, statement: ast.stmt) -> None:
        """Forget the names that the statement reads or changes."""
        names = _names_in(statement)
        self._fresh -= names
        leaves_block = any(isinstance(node, _LEAVING) for node in ast.walk(statement))
        self._pending = {
            name: pending
            for name, pending in self._pending.items()
            if name not in names and not leaves_block
        }
        if (
            isinstance(statement, ast.Assign)
            and isinstance(statement.value, ast.Constant)
            and all(isinstance(target, ast.Name) for target in statement.targets)
        ):
            return
        for pending in self._pending.values():
            pending.is_next = False
            pending.value.may_wait &= (
                pending.value.input_name not in names
                and not isinstance(statement, ast.Expr)  # as torch.set_grad_enabled(…)
                and not self._may_run(statement, pending.value)
            )

    def _is_new(self, node: ast.expr) -> bool:
        """Whether the value is a tensor whose memory nobody else has."""
        if isinstance(node, ast.Name):
            return node.id in self._fresh
        if not isinstance(node, ast.Call):
            return False
        text, argument = ast.unparse(node.func), _only_argument(node)
        if text in self._roles.passing:
            return argument is not None and self._is_new(argument)
        return text in self._roles.new

    def _may_run(self, node: ast.AST, value: _Value) -> bool:
        """Whether the node may run or read the batch norm, whose turn comes before."""
        inside = list(ast.walk(node))
        owners = {id(inner.value) for inner in inside if isinstance(inner, ast.Attribute)}
        for inner in inside:
            if isinstance(inner, ast.Name):
                if inner.id == self._own_name and id(inner) not in owners:
                    return True
            elif isinstance(inner, ast.Attribute):
                if self._is_own(inner.value) and self._may_reach(inner.attr, value):
                    return True
            elif isinstance(inner, ast.Call) and self._calls_what_is_unknown(inner.func):
                return True
        return False

    def _is_own(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Name) and node.id == self._own_name

    def _may_reach(self, name: str, value: _Value) -> bool:
        """Whether the attribute of `self` holds the batch norm, or is a method or a property."""
        if name in self._roles.children:
            return name == _root_attribute(parse_place(value.batch_norm))
        return hasattr(getattr(self._owner, name, None), "__get__")

    def _calls_what_is_unknown(self, function: ast.expr) -> bool:
        """Whether a local variable is called, or an attribute of `self` that is no submodule."""
        if isinstance(function, ast.Name):
            return function.id in self._not_global
        root = _root_attribute(function)
        return (
            root is not None
            and self._begins_at_self(function)
            and (root not in self._roles.children)
        )

    def _begins_at_self(self, place: ast.expr) -> bool:
        while isinstance(place, (ast.Attribute, ast.Subscript)):
            place = place.value
        return self._is_own(place)

    def _may_wait_for(self, node: ast.AST, value: _Value) -> bool:
        """Whether the batch norm may be computed after what stands after it, as a residual."""
        if self._may_run(node, value):
            return False
        if _calls_nothing(node):
            return True
        return value.may_wait and value.input_name not in _names_in(node)

    def _may_finish_at(self, call: ast.Call, value: _Value) -> bool:
        """Whether what has waited for this call may do so past all that its statement does before.

        A residual that was to be added in another statement waits as well: it could be changed.
        """
        if value.waiting is None and value.dropped is None:
            return True  # The batch norm stands in the call itself.
        before = _evaluated_before(call, self._statement)
        return before is not None and all(
            self._is_called_submodule(node, parent)
            or (self._may_wait_for(node, value) and (value.dropped is None or _calls_nothing(node)))
            for node, parent in before
        )

    def _is_called_submodule(self, node: ast.AST, parent: ast.AST) -> bool:
        """Whether the node is only the name of what `parent` will call."""
        if not (isinstance(parent, ast.Call) and parent.func is node):
            return False
        is_constant = all(isinstance(inner, _OF_A_PLACE) for inner in ast.walk(node))
        return (
            is_constant
            and self._begins_at_self(parent.func)
            and _root_attribute(parent.func) in self._roles.children
        )

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Fuse the call if it applies an activation to what a batch norm computes."""
        is_whole = node is getattr(self._statement, "value", None)
        self.generic_visit(node)
        applied = self._activation_applied_by(node)
        if applied is None:
            return node
        activation, text, operand = applied
        value = self._value_of(operand)
        if value is None:
            return node
        if value.dropped is not None and not (is_whole or _calls_nothing(_given(value.residual))):
            return node  # The calls of the residual would come after others of the statement.
        if not self._may_finish_at(node, value):
            return node
        self.sites.append(Site(value.batch_norm, text, value.residual is not None))
        return ast.copy_location(self._finished(value, activation), node)

    def _finished(self, value: _Value, activation: ast.expr) -> ast.expr:
        if value.waiting is not None:
            call = value.waiting.value
            assert isinstance(call, ast.Call)
            value.waiting.value = self._begun(call.func, call.args[0])
        self._dropped = value.dropped
        if value.residual is None:
            return self._call(fusion.finish, begun=value.begun, activation=activation)
        operands = {"begun": value.begun, "residual": value.residual}
        if value.residual_is_first:  # Arguments are evaluated in the order in which they stand.
            operands = {"residual": value.residual, "begun": value.begun}
        add = self._constant(value.add)
        return self._call(fusion.finish_with_residual, **operands, activation=activation, add=add)

    def _value_of(self, node: ast.expr) -> _Value | None:
        """What a batch norm computes of the expression, if nothing but the expression reads it."""
        if isinstance(node, ast.Name):
            return self._value_of_name(node.id)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return self._value_of_sum(node.left, node.right, operator.add)
        if not isinstance(node, ast.Call):
            return None
        if self._known(node.func) is torch.add and len(node.args) == 2 and not node.keywords:
            return self._value_of_sum(node.args[0], node.args[1], operator.add)
        batch_norm, input = ast.unparse(node.func), _only_argument(node)
        is_sequential = batch_norm in self._roles.sequentials
        if input is None or not (is_sequential or batch_norm in self._roles.batch_norms):
            return None
        input_name = input.id if isinstance(input, ast.Name) and not is_sequential else None
        may_wait = batch_norm not in self._roles.hasty and (is_sequential or self._is_new(input))
        return _Value(batch_norm, self._begun(node.func, input), may_wait, input_name)

    def _value_of_name(self, name: str) -> _Value | None:
        pending = self._pending.get(name)
        if pending is None:
            return None
        value, statement = pending.value, self._statement
        if not pending.is_next and (value.residual is not None or not value.may_wait):
            return None
        all_loads = 2 if isinstance(value.dropped, ast.AugAssign) else 1
        is_dead_after = (
            isinstance(statement, ast.Return)
            or _target(statement) == name
            or self._loads[name] == all_loads
        )
        is_read_once = _count_loads(statement)[name] == 1
        return replace(value) if is_dead_after and is_read_once else None

    def _value_of_sum(
        self, left: ast.expr, right: ast.expr, add: Callable[[Any, Any], Any]
    ) -> _Value | None:
        value = self._value_of(left)
        if value is not None and value.residual is None and self._may_wait_for(right, value):
            return replace(value, residual=right, add=add)
        if add is operator.iadd:  # It would change what is on its left.
            return None
        value = self._value_of(right)
        if value is None or value.residual is not None:
            return None
        # Called in the sum, a batch norm comes after the residual anyway.
        may_wait = value.waiting is None or self._may_wait_for(left, value)
        return replace(value, residual=left, add=add, residual_is_first=True) if may_wait else None

    def _activation_applied_by(self, node: ast.Call) -> tuple[ast.expr, str, ast.expr] | None:
        """An expression for the ReLU that the call applies, its text, and its operand."""
        function, text = node.func, ast.unparse(node.func)
        operand = _only_argument(node)
        if text in self._roles.activations:
            return None if operand is None else (function, text, operand)
        if isinstance(function, ast.Attribute) and not node.args and not node.keywords:
            method = _RELU_METHODS.get(function.attr)
            if method is not None:
                return self._constant(method), f".{function.attr}()", function.value
        if isinstance(function, ast.Call):  # nn.ReLU(inplace=True)(…)
            kind = self._known(function.func)
            if kind not in _RELU_CLASSES or operand is None:
                return None
            options = _constant_arguments(function.args, function.keywords)
        else:
            kind = _RELU_FUNCTIONS.get(_hashable(self._known(function)))
            if kind is None or not node.args or isinstance(node.args[0], ast.Starred):
                return None
            operand = node.args[0]
            options = _constant_arguments(node.args[1:], node.keywords)
        if options is None:
            return None
        try:
            module = kind(*options[0], **options[1])
        except (TypeError, AssertionError):  # It will be raised where it is called.
            return None
        if fusion.kind_of_activation(module) is None:
            return None
        if not isinstance(function, ast.Call):
            module = _without_hooks(module)
        return self._constant(module), text, operand

    def _known(self, node: ast.expr) -> Any:
        """What a global name such as `F.relu` stands for; None if it is not known."""
        if isinstance(node, ast.Attribute):
            owner = self._known(node.value)
            return getattr(owner, node.attr, None) if isinstance(owner, types.ModuleType) else None
        if not isinstance(node, ast.Name) or node.id in self._not_global:
            return None
        return self._globals.get(node.id)

    def _begun(self, module: ast.expr, input: ast.expr) -> ast.Call:
        return self._call(fusion.begin, module=module, input=input)

    def _call(self, function: Callable[..., Any], **arguments: ast.expr) -> ast.Call:
        keywords = [ast.keyword(arg=name, value=value) for name, value in arguments.items()]
        return ast.Call(func=self._constant(function), args=[], keywords=keywords)

    def _constant(self, value: Any) -> ast.Name:
        """A name of the rewritten method for the value."""
        text = repr(value) if isinstance(value, nn.Module) else value.__name__
        name = "_normgraph_" + "".join(c if c.isalnum() else "_" for c in text)
        self.added[name] = value
        return ast.Name(id=name, ctx=ast.Load())


def _given(residual: ast.expr | None) -> ast.expr:
    assert residual is not None
    return residual


def _hashable(value: Any) -> Any:
    return value if isinstance(value, Hashable) else None
