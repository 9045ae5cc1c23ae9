// Asks libtorch whether an operator exists, without `Operator`'s precondition.

import CTorch

func isRegistered(_ name: String, _ overload: String) -> Bool {
    var found: CTorchOperator?
    return ctorch_find_operator(name, overload, &found) == CTORCH_OK
}
